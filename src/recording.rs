//! Recordings: facts in a versioned file, scrubbed of what is nobody else's business.
//!
//! The file is JSON, compressed with zstd: an envelope that says what it is, around [`Facts`]. Plain JSON is read as
//! well. A recording comes from someone else's machine, so whatever is in the file, reading it is bounded.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::facts::Facts;

mod scrub;

pub use scrub::{SCRUBBED, scrub};

const FORMAT: &str = "ckpt-lint recording";
const VERSION: u32 = 1;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const COMPRESSION_LEVEL: i32 = 12;

/// Most bytes that a recording may have when unpacked: a hundred times what a large desktop needs.
const MOST_BYTES: u64 = 1 << 28;

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Recording {
    format: String,
    version: u32,
    /// The program that wrote it.
    tool: String,
    /// What was taken out.
    scrubbed: Vec<String>,
    facts: Facts,
    /// What a real dump of the target did, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify: Option<serde_json::Value>,
}

/// The part that every version has.
#[derive(Deserialize)]
struct Envelope {
    format: Option<String>,
    version: Option<u32>,
    tool: Option<String>,
}

/// The bytes of a recording of these facts, scrubbed. The same facts give the same bytes.
///
/// # Errors
/// Facts that can't be written as JSON or compressed.
pub fn to_bytes(facts: &Facts) -> Result<Vec<u8>> {
    with_verify(facts, None)
}

/// The same with what a real dump of the target did, scrubbed as well.
///
/// # Errors
/// As of [`to_bytes`].
pub fn with_verify(facts: &Facts, mut verify: Option<serde_json::Value>) -> Result<Vec<u8>> {
    let failed = |cause: &dyn ToString| Error::new("could not make the recording").because(cause.to_string());
    let recording = Recording {
        format: FORMAT.to_owned(),
        version: VERSION,
        tool: tool(),
        scrubbed: scrub::SCRUBBED.iter().map(ToString::to_string).collect(),
        facts: match &mut verify {
            None => scrub(facts),
            Some(said) => scrub::scrub_with(facts, said),
        }
        .map_err(|error| failed(&error))?,
        verify,
    };
    let json = serde_json::to_vec(&recording).map_err(|error| failed(&error))?;
    zstd::encode_all(json.as_slice(), COMPRESSION_LEVEL).map_err(|error| failed(&error))
}

/// Reads a recording.
///
/// # Errors
/// A file that can't be read, is no recording, is damaged or too large, or was written by a newer version.
pub fn read(path: &Path) -> Result<Facts> {
    let asked = format!("could not read the recording {}", path.display());
    let unreadable = |cause: &std::io::Error| Error::new(asked.as_str()).because(cause);
    let mut file = BufReader::new(File::open(path).map_err(|error| unreadable(&error))?);
    let start = file.fill_buf().map_err(|error| unreadable(&error))?;
    let json = if start.starts_with(&ZSTD_MAGIC) {
        let unpacked = zstd::Decoder::with_buffer(file).map_err(|error| unreadable(&error))?;
        bounded(unpacked, &asked)?
    } else if start.trim_ascii_start().starts_with(b"{") {
        bounded(file, &asked)?
    } else {
        return Err(Error::new(asked).because("it is no ckpt-lint recording").hint(HOW_TO_RECORD));
    };
    parse(&json, &asked)
}

const HOW_TO_RECORD: &str = "make one with: ckpt-lint record --container NAME -o FILE";

fn bounded(source: impl Read, asked: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    let damaged = |error| Error::new(asked).because(format!("it is cut off or damaged ({error})")).hint(HOW_TO_RECORD);
    read.map_err(damaged)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::new(asked).because("it holds more than 256 MiB, which no recording does"));
    }
    Ok(bytes)
}

fn parse(json: &[u8], asked: &str) -> Result<Facts> {
    let damaged = |error| Error::new(asked).because(format!("it is damaged: {error}")).hint(HOW_TO_RECORD);
    let envelope: Envelope = serde_json::from_slice(json).map_err(damaged)?;
    match (envelope.format.as_deref(), envelope.version) {
        (Some(FORMAT), Some(VERSION)) => Ok(serde_json::from_slice::<Recording>(json).map_err(damaged)?.facts),
        (Some(FORMAT), Some(version)) => Err(other_version(version, envelope.tool.as_deref(), asked)),
        (None, None) => serde_json::from_slice(json).map_err(damaged),
        _ => Err(Error::new(asked).because("it is no ckpt-lint recording").hint(HOW_TO_RECORD)),
    }
}

fn other_version(version: u32, writer: Option<&str>, asked: &str) -> Error {
    let by = writer.map(|tool| format!(" by {}", tool.escape_default())).unwrap_or_default();
    Error::new(asked)
        .because(format!("it was written{by} in version {version} of the form; {} reads version {VERSION}", tool()))
        .hint("use a newer ckpt-lint, or record it again with this one")
}

fn tool() -> String {
    concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned()
}
