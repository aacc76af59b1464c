//! Holds the JPEG 2000 decoder against the conformance codestreams of ITU-T T.803 (ISO/IEC
//! 15444-4), whose terms do not let them be kept here.
//!
//! ```text
//! cargo run --release --example conformance -- CODESTREAMS REFERENCES
//! ```
//!
//! `CODESTREAMS` is the folder of `p0_01.j2k` and the like, `REFERENCES` that of
//! `c1p0_01_0.pgx` and the like; they may be one folder. Prints a row for each codestream and
//! component: the largest error and the mean squared one, beside what class 1 allows. The exit
//! status is 1 if a row exceeds that.

mod image;
mod pgx;
mod table;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use image::Image;
use pgx::Plane;
use table::{ROWS, Row};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [codestreams, references] = folders.as_slice() else {
        eprintln!("conformance: give the folder of the codestreams and the one of the references");
        return ExitCode::from(2);
    };
    match run(codestreams, references) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every row that could be tried holds.
fn run(codestreams: &Path, references: &Path) -> Result<bool> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut passed, mut failed, mut missing) = (0, 0, 0);
    println!("codestream  reduced  component  peak (allowed)  mean squared (allowed)");
    for row in ROWS {
        let path = codestreams.join(format!("{}.j2k", row.name));
        let (Ok(bytes), Some(planes)) = (fs::read(&path), of_row(references, row)?) else {
            println!("{:<10}  is not in the folders", row.name);
            missing += 1;
            continue;
        };
        let decoded = runtime.block_on(async {
            Image::open(bytes).await?.planes(row.reduction, planes.len()).await
        });
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                println!("{:<10}  {error}", row.name);
                failed += 1;
                continue;
            }
        };
        for (component, (ours, reference)) in decoded.iter().zip(&planes).enumerate() {
            let allowed = row.allowed.get(component).copied().unwrap_or((0, 0.0));
            let holds = told(row, component, ours, reference, allowed);
            *(if holds { &mut passed } else { &mut failed }) += 1;
        }
    }
    println!("{passed} passed, {failed} failed, {missing} codestreams not tried");
    Ok(failed == 0)
}

/// Prints how far a component is from its reference; whether that is allowed.
fn told(row: &Row, component: usize, ours: &Plane, reference: &Plane, allowed: (u32, f64)) -> bool {
    let (peak, mean_squared) = ours.distance(reference).unwrap_or((u32::MAX, f64::INFINITY));
    let holds = peak <= allowed.0 && mean_squared <= allowed.1;
    println!(
        "{:<10}  {:>7}  {component:>9}  {:>14}  {:>22}  {}",
        row.name,
        row.reduction,
        format!("{peak} ({})", allowed.0),
        format!("{mean_squared:.3} ({})", allowed.1),
        if holds { "" } else { "FAILED" },
    );
    holds
}

/// The reference components of a row; `None` if one is missing.
fn of_row(folder: &Path, row: &Row) -> Result<Option<Vec<Plane>>> {
    let mut planes = Vec::new();
    for component in 0..row.allowed.len() {
        let path = folder.join(row.reference(component));
        if !path.exists() {
            return Ok(None);
        }
        let plane = Plane::parse(&fs::read(&path)?);
        planes.push(plane.ok_or_else(|| format!("{} is no PGX", path.display()))?);
    }
    Ok(Some(planes))
}
