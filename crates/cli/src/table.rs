//! Columns of text.

use crate::value::print;
use anyhow::Result;
use std::fmt::Write;

/// On which side a column is filled up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under headings, with columns as wide as their widest entry.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints the table, or a sentence where it would be empty.
    pub(crate) fn print_or(&self, empty: &str) -> Result<()> {
        if self.is_empty() {
            eprintln!("{empty}");
            return Ok(());
        }
        print(self)
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize, heading: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).chain([heading.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<_> =
            self.columns.iter().enumerate().map(|(column, (heading, _))| width(column, heading)).collect();
        let headings = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, &width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                match align {
                    Align::Left => write!(line, "{cell:<width$}")?,
                    Align::Right => write!(line, "{cell:>width$}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("ID", Align::Right), ("LABEL", Align::Left)]);
        table.row(["7".to_owned(), "a".to_owned()]);
        table.row(["1234".to_owned(), "µ".to_owned()]);
        assert_eq!(table.to_string(), "  ID  LABEL\n   7  a\n1234  µ\n");
    }
}
