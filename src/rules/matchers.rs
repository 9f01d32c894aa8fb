//! Matchers: small pure functions from facts, profile and parameters to subjects. One file each.
//!
//! A rule file names its matcher by `match.matcher`; the remaining keys of `[match]` are the matcher's parameters.

use serde::Deserialize;

use super::{Dated, View};
use crate::facts::Area;
use crate::finding::Subject;
use crate::version::Version;

mod by_path;
mod device_numbers;

/// What every matcher gives.
trait Match {
    /// Areas of facts it looks at: a gap there may hide a subject.
    fn needs(&self) -> &'static [Area];

    /// What it finds, in CRIU's walk order.
    fn subjects(&self, view: View<'_>) -> Vec<Subject>;

    /// Lists of what CRIU knows that grew from release to release.
    fn lists(&self) -> Vec<&Dated> {
        Vec::new()
    }
}

/// Whether CRIU finds on disk what it would else try out of the kernel. CRIU: `kerndat.c: kerndat_try_load_cache`.
fn is_probed_before(view: View<'_>) -> bool {
    view.facts.host.abilities.as_ref().is_some_and(|abilities| abilities.kernel_data_cached)
}

/// Declares each matcher's module and its variant of [`Matcher`].
macro_rules! matchers {
    ($($(#[$doc:meta])+ $name:ident in $module:ident,)+) => {
        $(mod $module;)+

        /// A matcher with its parameters.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "matcher", rename_all = "kebab-case")]
        pub enum Matcher {
            $($(#[$doc])+ $name($module::$name),)+
        }

        impl Matcher {
            fn inner(&self) -> &dyn Match {
                match self {
                    $(Self::$name(matcher) => matcher,)+
                }
            }
        }
    };
}

matchers! {
    /// Anon inodes by their link text.
    AnonInode in anon_inode,
    /// A caller of criu that may not do something.
    Caller in caller,
    /// Processes beside the tree, in the cgroup that CRIU freezes.
    Bystander in bystander,
    /// Cgroups that do not fit the cgroup namespace of the root process.
    CgroupPath in cgroup_path,
    /// A criu that is missing, does not run, or refuses its config file.
    CriuState in criu_state,
    /// Files that the caller of criu may not come to or read.
    ClosedFile in closed_file,
    /// Files of ended processes.
    DeadPid in dead_pid,
    /// Open device nodes by their numbers.
    Device in device,
    /// Epoll targets that the process itself has closed.
    EpollTarget in epoll_target,
    /// Network namespaces that `--empty-ns net` leaves no way for.
    EmptyNet in empty_net,
    /// What the user tells a dump to leave to the outside.
    ExternalGiven in external_given,
    /// Guard regions in private memory.
    GuardRegion in guard_region,
    /// File locks by their kind.
    FileLock in file_lock,
    /// Open files on mounts that CRIU can't use.
    FileMount in file_mount,
    /// `/dev/tty` in processes without a controlling terminal.
    FormerTerminal in former_terminal,
    /// Threads outside of the cgroup that CRIU freezes.
    FreezerLeft in freezer_left,
    /// Processes in a frozen cgroup.
    Frozen in frozen,
    /// Deleted files that are larger than CRIU saves.
    GhostFile in ghost_file,
    /// Supplementary groups beyond what CRIU has room for.
    Groups in groups,
    /// Memory in huge pages on a host that has none left.
    HugePages in huge_pages,
    /// Room for the images.
    ImageRoom in image_room,
    /// TCP sockets by state.
    Inet in inet,
    /// Options that exclude or need one another.
    OptionConflict in option_conflict,
    /// Options that something else has to allow.
    OptionGiven in option_given,
    /// What criu asks of the kernel and this one lacks.
    KernelLack in kernel_lack,
    /// Memory into which CRIU puts its code.
    InjectionArea in injection_area,
    /// Inet sockets by the interface that they are bound to.
    InetDevice in inet_device,
    /// Files whose name is gone while other hard links remain.
    LinkRemap in link_remap,
    /// Processes beside the tree, which a checkpoint does not hold.
    LeftOut in left_out,
    /// What `--empty-ns net` leaves out.
    LostNetwork in lost_network,
    /// Watches that a restore leaves out.
    LostWatch in lost_watch,
    /// Memory that is larger than CRIU can keep account of.
    LargeMemory in large_memory,
    /// Mappings by their name.
    Mapping in mapping,
    /// Mapped files that CRIU opens by their paths.
    MappingByPath in mapping_by_path,
    /// Mapped device nodes.
    MappingDevice in mapping_device,
    /// Mappings with very long paths.
    MappingLine in mapping_line,
    /// Mapped sockets that are no open packet sockets.
    MappingSocket in mapping_socket,
    /// Memfds.
    Memfd in memfd,
    /// Mounts that CRIU can't save.
    Mount in mount,
    /// Lines of mountinfo that CRIU can't read.
    MountLine in mount_line,
    /// Fanotify marks of mounts outside of the tree.
    MountMark in mount_mark,
    /// Paths that options name and criu can't use.
    NamedPath in named_path,
    /// A method by which the network is to be locked.
    NetworkLock in network_lock,
    /// Open namespaces that no process of the tree is in.
    NamespaceFd in namespace_fd,
    /// Namespaces inside the tree that differ from the root process's.
    NamespaceNested in namespace_nested,
    /// Network interfaces that CRIU does not know.
    Interface in interface,
    /// Netlink sockets with something to read, or in groups that CRIU can't restore.
    Netlink in netlink,
    /// A root process whose `/proc` is not that of its pid namespace.
    OwnProc in own_proc,
    /// Packet sockets that joined the same membership more than once.
    PacketMembership in packet_membership,
    /// Files with very long paths.
    PathLength in path_length,
    /// `O_PATH` descriptors of files that CRIU asks something of.
    PathOnly in path_only,
    /// A root process that is not the init of its pid namespace.
    PidWithoutInit in pid_without_init,
    /// Pidfds by what they refer to.
    Pidfd in pidfd,
    /// BPF maps by their kind.
    BpfMap in bpf_map,
    /// More pipes than CRIU has room for.
    PipeCount in pipe_count,
    /// Pipes of which the tree holds one end only.
    PipeEnd in pipe_end,
    /// Pipes by their open flags.
    PipeFlags in pipe_flags,
    /// Processes in a state in which CRIU can't stop them.
    ProcessState in process_state,
    /// Programs by name or mapped library that hold what other rules found.
    Program in program,
    /// Limits that leave no room for CRIU's own code.
    Room in room,
    /// A root directory that is not the root of the mount namespace.
    RootChanged in root_changed,
    /// Mounts that are dumped and do not come back.
    RestoredMount in restored_mount,
    /// Threads that may have a restartable sequence.
    Rseq in rseq,
    /// Sealed memory that CRIU would have to make readable.
    SealedMemory in sealed_memory,
    /// Threads under seccomp.
    SeccompMode in seccomp_mode,
    /// Sessions whose leader is not in the checkpoint.
    Session in session,
    /// Kernel resources that two processes share.
    Shared in shared,
    /// Sockets by address family.
    SocketFamily in socket_family,
    /// Raw inet sockets.
    RawSocket in raw_socket,
    /// Sockets in a network namespace that no process of the tree is in.
    SocketForeign in socket_foreign,
    /// Sockets by the name of their protocol.
    SocketProtocol in socket_protocol,
    /// Descriptors of symbolic links.
    SymlinkFd in symlink_fd,
    /// 32-bit tasks on a 64-bit kernel.
    Task32 in task_32,
    /// TCP sockets that no table lists.
    TcpUnlisted in tcp_unlisted,
    /// Threads that differ from the main thread.
    ThreadDiffers in thread_differs,
    /// POSIX timers that signal a thread which has gone.
    TimerThread in timer_thread,
    /// Sockets that the kernel can't list for CRIU.
    SocketUndiagnosed in socket_undiagnosed,
    /// Timerfds by their clock.
    TimerfdClock in timerfd_clock,
    /// Programs that criu starts and that are missing.
    Tools in tool,
    /// Ptys by their number.
    TtyIndex in tty_index,
    /// Ptys of which the tree has only the slave.
    TtyPair in tty_pair,
    /// Terminals of a session whose leader is not in the tree.
    TtySession in tty_session,
    /// Tun and tap devices that CRIU can't take apart with their descriptors.
    Tun in tun,
    /// Unix sockets by what became of their other end.
    Unix in unix,
    /// Datagrams that nobody has read yet.
    Unread in unread,
    /// Unix sockets by the name that they were bound to.
    UnixName in unix_name,
    /// A user namespace without a mount namespace.
    UserNamespace in user_namespace,
    /// Open files that are no more.
    Vanished in vanished,
    /// The layout of the vDSO.
    VdsoLayout in vdso_layout,
    /// Clock pages that the process moved apart.
    VvarApart in vvar_apart,
    /// Registers that do not fit CRIU's buffer.
    WideRegisters in wide_registers,
    /// Watches that CRIU can dump only by a path.
    Watch in watch,
}

impl Matcher {
    /// Areas of facts it looks at: a gap there may hide a subject.
    #[must_use]
    pub fn needs(&self) -> &'static [Area] {
        self.inner().needs()
    }

    /// Entries of its lists that CRIU learnt later, each with its first release.
    pub fn learnt(&self) -> impl Iterator<Item = (Version, &str)> {
        self.inner().lists().into_iter().flat_map(Dated::later)
    }

    /// Whether it looks at programs and what other rules found that they hold, so that it has to run after those.
    #[must_use]
    pub fn is_about_programs(&self) -> bool {
        matches!(self, Self::Program(_))
    }

    /// What it finds, in CRIU's walk order.
    #[must_use]
    pub fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        self.inner().subjects(view)
    }
}
