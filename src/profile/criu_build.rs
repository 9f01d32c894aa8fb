//! What a criu was built with, read from its file: nothing is run.
//!
//! The libraries that it is linked with stand in its ELF file (`DT_NEEDED`); plugins are the `.so` files of one
//! directory. CRIU 4.2: `plugin.c: cr_plugin_init`.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;

use crate::facts::CriuBuild;

/// CRIU's default. CRIU: `include/plugin.h: CR_PLUGIN_DEFAULT`.
pub(super) const PLUGINS: &str = "/usr/lib/criu";

/// Most bytes of a program that are read.
const MAX_PROGRAM: u64 = 64 * 1024 * 1024;

/// Feature that every build has as long as its file does not show otherwise.
pub(super) const NFTABLES: &str = "nftables";

/// Feature that every build has unless it says otherwise: 32-bit tasks.
const COMPAT: &str = "compat";

/// What only a build without it can print. CRIU 4.2: `cr-check.c: check_compat_cr`.
const NO_COMPAT: &[u8] = b"CRIU built without CONFIG_COMPAT";

/// Libraries that decide something, and the feature each stands for.
const LIBRARIES: [(&str, &str); 3] = [("libbpf.so", "bpfmap"), ("liblz4.so", "lz4"), ("libnftables.so", NFTABLES)];

/// Plugins that decide something, and the feature each stands for.
const PLUGIN_FILES: [(&str, &str); 2] = [("amdgpu_plugin.so", "amdgpu-plugin"), ("cuda_plugin.so", "cuda-plugin")];

/// Reads what the program and the plugin directory show.
pub(super) fn read(program: &Path, plugins: &Path) -> CriuBuild {
    let bytes = contents(program).unwrap_or_default();
    CriuBuild {
        libraries: libraries_of(&bytes),
        plugins: plugin_files(plugins),
        lacks_compat: bytes.contains_str(NO_COMPAT),
    }
}

/// Names of the shared libraries that a program is linked with, sorted; `None` when it is no dynamic ELF program, as a
/// script or a static one.
#[must_use]
pub fn needed_libraries(program: &Path) -> Option<Vec<String>> {
    libraries_of(&contents(program)?)
}

fn contents(program: &Path) -> Option<Vec<u8>> {
    let file = fs::File::open(program).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
    let mut bytes = Vec::new();
    file.take(MAX_PROGRAM).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn libraries_of(bytes: &[u8]) -> Option<Vec<String>> {
    let elf = goblin::elf::Elf::parse(bytes).ok().filter(|elf| elf.dynamic.is_some())?;
    let mut libraries: Vec<String> = elf.libraries.iter().map(|&name| name.to_owned()).collect();
    libraries.sort();
    Some(libraries)
}

fn plugin_files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".so")).collect();
    names.sort();
    names
}

/// The directory that this criu loads plugins from, by its own option or the environment that it gets.
pub(super) fn plugin_directory(option: Option<String>, environment: Option<&OsString>) -> PathBuf {
    option.map(PathBuf::from).or_else(|| environment.map(PathBuf::from)).unwrap_or_else(|| PLUGINS.into())
}

/// The features that a build shows. One that was not looked at is taken for what distributions build.
pub(super) fn features(build: Option<&CriuBuild>) -> Vec<String> {
    let libraries = build.and_then(|build| build.libraries.as_ref());
    let linked = |library: &str| match libraries {
        Some(libraries) => libraries.iter().any(|name| name.starts_with(library)),
        None => library == "libnftables.so",
    };
    let loaded = |file: &str| build.is_some_and(|build| build.plugins.iter().any(|name| name == file));
    let by_library = LIBRARIES.iter().filter(|(library, _)| linked(library)).map(|(_, feature)| *feature);
    let by_plugin = PLUGIN_FILES.iter().filter(|(file, _)| loaded(file)).map(|(_, feature)| *feature);
    let compat = (!build.is_some_and(|build| build.lacks_compat)).then_some(COMPAT);
    by_library.chain(by_plugin).chain(compat).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_program_itself() {
        let own = needed_libraries(Path::new("/bin/sh")).unwrap();
        assert!(own.iter().any(|name| name.starts_with("libc.")), "{own:?}");
        assert_eq!(needed_libraries(Path::new("/etc/passwd")), None);
    }

    #[test]
    fn features_are_what_the_build_shows() {
        let libraries = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let build = CriuBuild {
            libraries: libraries(&["libbpf.so.1"]),
            plugins: vec!["cuda_plugin.so".to_owned()],
            lacks_compat: true,
        };
        assert_eq!(features(Some(&build)), ["bpfmap", "cuda-plugin"]);
        assert_eq!(features(None), [NFTABLES, COMPAT]);
    }
}
