//! Reading `/proc` of one process, and taking apart what the kernel prints there.
//!
//! [`ProcessDir`] is a handle on a process: one directory fd of `/proc/PID`. The kernel ties that fd to the process
//! and not to the number, so once the process has gone every read through it fails with `ESRCH` or `ENOENT`, even
//! when the pid is in use again. The parsers are pure: bytes in, a type out, `None` for what is not understood.
//!
//! The kernel makes files of one record (`stat`, `status`, `cgroup`, `fdinfo/N`) in one piece for one `read`; those
//! of many records (`maps`, `mountinfo`, `children`) only line by line, and they may change in between.

mod caller;
pub mod cgroup;
pub mod fdinfo;
mod handle;
pub mod kcmp;
pub mod limits;
pub mod maps;
pub mod mountinfo;
pub mod ns;
pub mod number;
pub mod pagemap;
pub mod stat;
pub mod status;
pub mod timers;
pub mod user_ns;

pub use caller::caller;
pub use handle::{Proc, ProcessDir, is_gone, link_at, numbers_at, read_all_at, read_at, read_lines_at};
