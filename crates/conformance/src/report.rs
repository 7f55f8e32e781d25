//! Results, one line each, and the summary.

use core::fmt::{self, Write};

/// Why a check did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortfall {
    /// What was found contradicts the contract.
    Failed(&'static str),
    /// The port says that this part is not written yet.
    NotImplemented,
    /// There is nothing to be checked on this device, or no means to.
    NotApplicable(&'static str),
}

/// The outcome of a check.
pub type Outcome = Result<(), Shortfall>;

/// Passes if `holds`, else fails with this text.
///
/// # Errors
/// [`Shortfall::Failed`].
pub const fn ensure(holds: bool, otherwise: &'static str) -> Outcome {
    if holds { Ok(()) } else { Err(Shortfall::Failed(otherwise)) }
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Checks that passed.
    pub passed: usize,
    /// Checks that failed.
    pub failed: usize,
    /// Parts that the port lacks.
    pub not_implemented: usize,
    /// Checks that do not apply to this device.
    pub not_applicable: usize,
}

impl Summary {
    /// Whether the port may be called complete: nothing failed, nothing is missing, and something was checked.
    pub const fn is_complete(&self) -> bool {
        self.failed == 0 && self.not_implemented == 0 && self.passed > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "summary: {} passed, {} failed, {} not implemented, {} not applicable",
            self.passed, self.failed, self.not_implemented, self.not_applicable
        )
    }
}

/// How many parts that a port lacks are named again at the end.
const NAMED: usize = 32;

/// Where results go. A sink that fails loses lines, never counts.
pub struct Report<'w> {
    out: &'w mut dyn Write,
    summary: Summary,
    lacking: [(&'static str, &'static str); NAMED],
}

impl<'w> Report<'w> {
    /// A report to `out`.
    pub const fn new(out: &'w mut dyn Write) -> Self {
        Self {
            out,
            summary: Summary { passed: 0, failed: 0, not_implemented: 0, not_applicable: 0 },
            lacking: [("", ""); NAMED],
        }
    }

    /// Writes a line that is no result.
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "      {text}");
    }

    /// Writes down the outcome of one check of an area.
    pub fn check(&mut self, area: &'static str, name: &'static str, outcome: Outcome) {
        let Self { out, summary, lacking } = self;
        let (count, _) = match outcome {
            Ok(()) => (&mut summary.passed, writeln!(out, "pass  {area}: {name}")),
            Err(Shortfall::Failed(why)) => {
                (&mut summary.failed, writeln!(out, "FAIL  {area}: {name}: {why}"))
            }
            Err(Shortfall::NotImplemented) => {
                if let Some(free) = lacking.get_mut(summary.not_implemented) {
                    *free = (area, name);
                }
                (&mut summary.not_implemented, writeln!(out, "none  {area}: {name}: not implemented"))
            }
            Err(Shortfall::NotApplicable(why)) => {
                (&mut summary.not_applicable, writeln!(out, "n/a   {area}: {name}: {why}"))
            }
        };
        *count = count.saturating_add(1);
    }

    /// The counts so far.
    pub const fn summary(&self) -> Summary {
        self.summary
    }

    /// Names what the port lacks, writes the summary line, and returns it.
    pub fn finish(self) -> Summary {
        let Self { out, summary, lacking } = self;
        for (area, name) in lacking.iter().take(summary.not_implemented) {
            let _ = writeln!(out, "lacks {area}: {name}");
        }
        let _ = writeln!(out, "{summary}");
        summary
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("summary", &self.summary).finish_non_exhaustive()
    }
}
