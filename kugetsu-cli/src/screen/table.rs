//! Tables: a header and rows, without lines, so that they can be cut and grepped.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Screen, Tone};
use crate::errors::CliError;

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Rows {
    table: Table,
}

impl Rows {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // An id that is broken over two lines cannot be copied.
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { table }
    }

    /// A column of numbers.
    pub(crate) fn right(mut self, column: usize) -> Self {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.table.add_row(cells);
    }

    /// Writes it, the header stronger than the rest.
    pub(crate) fn show(&self, screen: &Screen) -> Result<(), CliError> {
        for (index, line) in self.table.lines().enumerate() {
            let line = line.trim_end();
            let tone = if index == 0 { Tone::Strong } else { Tone::Plain };
            screen.say(screen.painted(tone, line))?;
        }
        Ok(())
    }
}
