//! The real criu: run it, and find in its log why it gave up.

pub mod log;
pub mod run;
mod timing;
