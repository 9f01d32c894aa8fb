/*
 * Let criu read the limits of another user's task without CAP_SYS_RESOURCE.
 *
 * Test tooling for machines that withhold this capability: the kernel then
 * refuses prlimit64(pid, res, NULL, &old) for a task of another uid (EPERM), but
 * still shows the same numbers in /proc/PID/limits. Only a refused read is
 * answered; setting a limit is left to the kernel.
 *
 * Built with no C library of its own (-nostdlib): its symbols carry no version
 * and bind to the libc of whichever process loads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAME_WIDTH = 26 }; /* the kernel prints "%-25s %-20s %-20s %-10s\n" */

static const char *after_line(const char *at)
{
	while (*at && *at != '\n')
		at++;
	return *at ? at + 1 : at;
}

/* Reads one number or "unlimited" and returns what follows it, or NULL. */
static const char *read_limit(const char *at, rlim64_t *value)
{
	while (*at == ' ')
		at++;
	if (*at == 'u') {
		*value = RLIM64_INFINITY;
		while (*at && *at != ' ')
			at++;
		return at;
	}
	if (*at < '0' || *at > '9')
		return NULL;
	for (*value = 0; *at >= '0' && *at <= '9'; at++)
		*value = *value * 10 + (rlim64_t)(*at - '0');
	return at;
}

static int open_limits(pid_t pid)
{
	char path[32] = "/proc/", digits[12];
	int end = 6, n = 0;

	do {
		digits[n++] = (char)('0' + pid % 10);
		pid /= 10;
	} while (pid);
	while (n)
		path[end++] = digits[--n];
	for (const char *tail = "/limits"; *tail; tail++)
		path[end++] = *tail;
	path[end] = '\0';
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* One line a resource, in the order of their numbers, below a line of headings. */
static int limits_from_proc(pid_t pid, int resource, struct rlimit64 *out)
{
	char text[4096];
	size_t length = 0;
	ssize_t got;
	int fd = open_limits(pid);

	if (fd < 0)
		return -1;
	while (length < sizeof(text) - 1 &&
	       (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(fd);
	text[length] = '\0';

	const char *at = text;
	for (int line = 0; line <= resource; line++)
		at = after_line(at);
	for (int column = 0; column < NAME_WIDTH; column++)
		if (!*at++)
			return -1;
	at = read_limit(at, &out->rlim_cur);
	return at && read_limit(at, &out->rlim_max) ? 0 : -1;
}

static long (*libc_syscall)(long number, ...);

__attribute__((constructor)) static void find_libc_syscall(void)
{
	libc_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

/* criu asks by number. Six arguments are the most that a system call takes. */
long syscall(long number, ...)
{
	long args[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);

	long answer = libc_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	pid_t pid = (pid_t)args[0];
	int is_refused_read = number == SYS_prlimit64 && answer != 0 && errno == EPERM &&
			      pid > 0 && !args[2] && args[3];

	if (!is_refused_read)
		return answer;
	if (limits_from_proc(pid, (int)args[1], (struct rlimit64 *)args[3]) == 0)
		return 0;
	errno = EPERM;
	return -1;
}
