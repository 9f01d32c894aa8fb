//! ckpt-lint says, before anyone freezes anything, whether CRIU can checkpoint a container, and what is in the way.
//!
//! Data flows one way; each arrow is a plain type, and nothing on the left knows anything on the right:
//!
//! ```text
//! argv -> Request -> target -> scan -> Facts -> rules -> Findings -> Report -> bytes
//!                      engine + criu + caller + config -> Profile ----^
//! ```

pub mod assess;
pub mod cli;
pub mod criu;
pub mod error;
pub mod facts;
pub mod finding;
pub mod output;
pub mod plan;
pub mod procfs;
pub mod profile;
pub mod recording;
pub mod report;
pub mod rules;
pub mod run;
pub mod scan;
pub mod target;
pub mod text;
pub mod verdict;
pub mod verify;
pub mod version;
