//! The table: one row a figure, printed as soon as it is known and kept in a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// What a figure has to stay below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// So many times the peer's.
    Ratio(f64),
    /// So much, whatever the peer shows.
    Most(f64),
    /// Nothing: the row explains another one.
    None,
}

pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) ours: f64,
    /// Who was measured beside us in the same run, and its figure.
    pub(crate) peer: Option<(&'a str, f64)>,
    pub(crate) target: Target,
}

impl Row<'_> {
    fn ratio(&self) -> Option<f64> {
        self.peer.filter(|(_, figure)| *figure > 0.0).map(|(_, figure)| self.ours / figure)
    }

    /// None without a target. A ratio whose peer shows nothing has missed it.
    fn passes(&self) -> Option<bool> {
        match self.target {
            Target::Ratio(most) => Some(self.ratio().is_some_and(|ratio| ratio <= most)),
            Target::Most(most) => Some(self.ours <= most),
            Target::None => None,
        }
    }

    fn line(&self) -> String {
        let peer = self.peer.map(|(name, figure)| format!("{} {name}", rounded(figure)));
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}"));
        let target = match self.target {
            Target::Ratio(most) => format!("≤ {most} ×"),
            Target::Most(most) => format!("≤ {most}"),
            Target::None => String::new(),
        };
        let verdict = match self.passes() {
            Some(true) => "pass",
            Some(false) => "miss",
            None => "",
        };
        format!(
            "| {} | {} | {} | {} | {} | {target} | {verdict} |",
            self.name,
            self.unit,
            rounded(self.ours),
            peer.unwrap_or_default(),
            ratio.unwrap_or_default(),
        )
    }
}

/// Three digits that say something.
fn rounded(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

pub(crate) struct Report {
    file: File,
    has_head: bool,
    misses: usize,
}

impl Report {
    /// A new file in `folder`, named by the time.
    pub(crate) fn begin(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let path = folder.join(format!("{seconds}.md"));
        let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
        Ok(Self { file, has_head: false, misses: 0 })
    }

    pub(crate) fn note(&mut self, text: &str) -> Result<()> {
        self.print(&format!("{text}\n"))
    }

    pub(crate) fn row(&mut self, row: &Row) -> Result<()> {
        if !self.has_head {
            self.has_head = true;
            self.print("| what | unit | ours | peer | ratio | target | |")?;
            self.print("| --- | --- | --- | --- | --- | --- | --- |")?;
        }
        self.misses += usize::from(row.passes() == Some(false));
        self.print(&row.line())
    }

    /// How many rows miss their target.
    pub(crate) fn misses(&self) -> usize {
        self.misses
    }

    fn print(&mut self, line: &str) -> Result<()> {
        writeln!(io::stdout().lock(), "{line}")?;
        Ok(writeln!(self.file, "{line}")?)
    }
}

/// The middle one; of an even number the lower of the two.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len().saturating_sub(1) / 2;
    figures.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peer: Option<(&'static str, f64)>, target: Target) -> Row<'static> {
        Row { name: "x", unit: "ms", ours, peer, target }
    }

    #[test]
    fn a_row_says_whether_it_misses() {
        let beside = Some(("nginx", 0.2));
        let line = row(0.4, beside, Target::Ratio(0.9)).line();
        assert_eq!(line, "| x | ms | 0.400 | 0.200 nginx | 2.00 | ≤ 0.9 × | miss |");
        let line = row(0.18, beside, Target::Ratio(0.9)).line();
        assert_eq!(line, "| x | ms | 0.180 | 0.200 nginx | 0.90 | ≤ 0.9 × | pass |");
        let line = row(26.8, None, Target::Most(30.0)).line();
        assert_eq!(line, "| x | ms | 26.8 |  |  | ≤ 30 | pass |");
        let line = row(1234.4, None, Target::None).line();
        assert_eq!(line, "| x | ms | 1234 |  |  |  |  |");
    }

    /// Nothing measured is no pass.
    #[test]
    fn a_figure_that_is_missing_misses() {
        assert_eq!(row(f64::NAN, None, Target::Most(30.0)).passes(), Some(false));
        assert_eq!(row(0.1, Some(("nginx", 0.0)), Target::Ratio(2.0)).passes(), Some(false));
        assert_eq!(row(0.1, None, Target::Ratio(2.0)).passes(), Some(false));
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.0);
    }
}
