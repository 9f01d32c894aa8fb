//! Mappings with very long paths. CRIU 4.2: `bfd.c: breadline` reads the lines of smaps into one page; before 3.8 it cuts
//! off what does not fit, and 4.3 has room for more. All of them stop at `util.c: read_fd_link`, whose buffer has to
//! hold the path and one byte more.

use serde::Deserialize;

use super::{Match, View};
use crate::facts::Area;
use crate::finding::Subject;

/// Column in which the path begins. Kernel: `fs/proc/task_mmu.c: show_vma_header_prefix`, `seq_pad`.
const PATH_COLUMN: usize = 73;

/// Fires on each mapping of a file whose line, or whose path alone, has at least that many bytes, the line end not
/// counted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingLine {
    of: Of,
    length: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Of {
    Line,
    Path,
}

impl Match for MappingLine {
    fn needs(&self) -> &'static [Area] {
        &[Area::Processes, Area::Mappings]
    }

    fn subjects(&self, view: View<'_>) -> Vec<Subject> {
        let before = match self.of {
            Of::Line => PATH_COLUMN,
            Of::Path => 0,
        };
        let long = view.mappings().filter(|(_, mapping)| before + mapping.path.as_bytes().len() >= self.length);
        long.map(|(process, mapping)| {
            Subject::mapping(process, mapping).with("length", mapping.path.as_bytes().len().to_string())
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Facts, Process};
    use crate::rules::testing::*;

    fn mapped(length: usize) -> Facts {
        facts(vec![Process { mappings: vec![mapping(&"d".repeat(length))], ..process(7) }])
    }

    #[test]
    fn before_4_3_a_line_of_a_page_is_too_long() {
        assert_eq!(fired("mapping-line-too-long", &mapped(4023), &[]), ["7 7000-8000"]);
        assert!(fired("mapping-line-too-long", &mapped(4022), &[]).is_empty());
        for release in ["3.7", "4.3"] {
            assert!(findings("mapping-line-too-long", &mapped(4023), &profile(release, &[])).is_empty(), "{release}");
        }
    }

    #[test]
    fn a_path_of_a_page_is_too_long_for_every_release() {
        let fires = |length| fired("mapping-path-too-long", &mapped(length), &[]).len();
        assert_eq!((fires(4095), fires(4094)), (1, 0));
    }
}
