//! How a report looks: width, colours, and the two shapes that everything in it has.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width};
use owo_colors::{OwoColorize as _, Style};

use crate::finding::Severity;
use crate::text::RawText;
use crate::verdict::Verdict;

/// Lines of running text get hard to read beyond this width.
const WIDEST_TEXT: u16 = 110;

/// Blanks between columns.
const GUTTER: u16 = 2;

/// Width of the column of labels: `scanned` and two blanks.
const LABEL: u16 = 9;

/// Stands for a blank at which no line is broken, while a table is laid out. No text is expected to have it.
const TIED: char = '\u{e000}';

/// How a report looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether colours are used.
    pub colour: bool,
    /// The verdict line only.
    pub quiet: bool,
    /// Nothing folded, and more of it.
    pub verbose: bool,
}

impl Look {
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { text.style(style).to_string() } else { text.to_owned() }
    }

    pub(super) fn strong(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub(super) fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// What to do stands out, what explains steps back.
    fn label(&self, label: &str) -> String {
        match label {
            "fix" | "lift by" | "upgrade" | "add" | "edit" | "run" => self.paint(Style::new().green(), label),
            _ => self.dim(label),
        }
    }

    /// Label and text in two columns, the text wrapped under itself.
    pub(super) fn labelled(&self, lines: &[(&str, String)]) -> String {
        if lines.is_empty() {
            return String::new();
        }
        let mut table = self.table(self.width.min(WIDEST_TEXT));
        for (label, text) in lines {
            table.add_row([Cell::new(self.label(label)), Cell::new(tied(text))]);
        }
        self.finish(table, &[ColumnConstraint::Absolute(Width::Fixed(LABEL))])
    }

    /// Label and a text to be copied: on one line, however long.
    pub(super) fn unwrapped(&self, label: &str, text: &str) -> String {
        let padding = usize::from(LABEL).saturating_sub(label.len());
        format!("{:indent$}{}{:padding$}{text}\n", "", self.label(label), "", indent = usize::from(GUTTER))
    }

    /// A table over the whole width, indented, without lines. Empty headings: none.
    pub(super) fn rows(&self, headings: &[&str], rows: Vec<Vec<String>>, constraints: &[ColumnConstraint]) -> String {
        let mut table = self.table(self.width);
        if !headings.is_empty() {
            table.set_header(headings.iter().map(|heading| self.dim(heading)));
        }
        table.add_rows(rows.into_iter().map(|row| row.iter().map(|text| Cell::new(tied(text))).collect::<Vec<_>>()));
        self.finish(table, constraints)
    }

    fn table(&self, width: u16) -> Table {
        let mut table = Table::new();
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.saturating_sub(GUTTER));
        if self.colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    fn finish(&self, mut table: Table, constraints: &[ColumnConstraint]) -> String {
        table.load_style(comfy_table::presets::NOTHING);
        for (column, constraint) in table.column_iter_mut().zip(constraints) {
            column.set_constraint(*constraint);
        }
        let last = table.column_count().saturating_sub(1);
        for (n, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if n == last { 0 } else { GUTTER }));
        }
        let indent = " ".repeat(GUTTER.into());
        table.lines().map(|line| format!("{indent}{}\n", line.trim_end().replace(TIED, " "))).collect()
    }
}

/// Text that did not come as [`RawText`], safe to print: a recording may hold anything.
pub(super) fn clean(text: &str) -> String {
    RawText::from(text).to_string()
}

/// Keeps a process and its pid on one line: `sh (7)`.
fn tied(text: &str) -> String {
    text.replace(" (", &format!("{TIED}("))
}

/// The colour of a severity; what is only possible is less loud.
pub(super) fn severity_style(severity: Severity, decides: bool) -> Style {
    match (severity, decides) {
        (Severity::Blocks, true) => Style::new().red().bold(),
        (Severity::NeedsOption, true) => Style::new().yellow().bold(),
        (Severity::Blocks | Severity::NeedsOption, false) => Style::new().yellow(),
        (Severity::RestoreRisk, _) => Style::new().magenta().bold(),
        (Severity::Info, _) => Style::new().blue().bold(),
    }
}

/// The colour of a verdict.
pub(super) fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Blocked => Style::new().red().bold(),
        Verdict::ReadyWithOptions | Verdict::Unknown => Style::new().yellow().bold(),
        Verdict::Ready => Style::new().green().bold(),
    }
}
