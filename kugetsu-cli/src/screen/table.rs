//! Tables: a header and rows, without lines, so that they can be cut and grepped.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Screen, Tone};
use crate::errors::CliError;

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Rows {
    header: Vec<String>,
    body: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Rows {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        let header = header.map(str::to_owned).to_vec();
        Self { header, body: Vec::new(), right: Vec::new() }
    }

    /// A column of numbers.
    #[cfg(feature = "demo")]
    pub(crate) fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.body.push(cells.into());
    }

    /// Writes it, the header stronger than the rest. Of a row that is too long for the terminal the
    /// last cells stand below the others: an id or a path that is broken cannot be copied.
    pub(crate) fn show(&self, screen: &Screen) -> Result<(), CliError> {
        for (index, line) in self.drawn(screen.width()).into_iter().enumerate() {
            let tone = if index == 0 { Tone::Strong } else { Tone::Plain };
            screen.say(screen.painted(tone, &line))?;
        }
        Ok(())
    }

    fn drawn(&self, width: Option<usize>) -> Vec<String> {
        let width = width.unwrap_or(usize::MAX);
        let all = self.header.len();
        let cut: Vec<Vec<String>> = (1..=all).map(|columns| self.lines(columns)).collect();
        let mut drawn = Vec::new();
        for (index, cells) in std::iter::once(&self.header).chain(&self.body).enumerate() {
            let fits = |columns: &usize| cut[columns - 1][index].chars().count() <= width;
            let columns = (2..=all).rev().find(fits).unwrap_or(all);
            drawn.push(cut[columns - 1][index].clone());
            let below: Vec<&str> =
                cells[columns..].iter().map(String::as_str).filter(|cell| *cell != "-").collect();
            if !below.is_empty() {
                drawn.push(format!("  {}", below.join("  ")));
            }
        }
        drawn
    }

    /// The first so many columns.
    fn lines(&self, columns: usize) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.header[..columns]);
        for row in &self.body {
            table.add_row(&row[..columns]);
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    fn check(width: Option<usize>, expected: &[&str]) {
        let mut rows = Rows::new(["ID", "STATE", "PATH"]);
        rows.row(["ses_1".into(), "idle".into(), "/some/where/far/away".into()]);
        rows.row(["ses_22".into(), "active".into(), "-".into()]);
        assert_eq!(rows.drawn(width), expected);
    }

    #[test]
    fn a_row_is_folded_only_where_it_would_be_broken() {
        let wide =
            ["ID      STATE   PATH", "ses_1   idle    /some/where/far/away", "ses_22  active  -"];
        check(None, &wide);
        check(Some(36), &wide);
        let narrow =
            ["ID      STATE   PATH", "ses_1   idle", "  /some/where/far/away", "ses_22  active  -"];
        check(Some(35), &narrow);
    }
}
