//! The examples of docs/howto.md, each on a mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::programs::{files_below, python, script};
use super::*;
use crate::docs::read;
use crate::harness::missing::has_program;
use crate::harness::mounting::{both, succeeds};

/// What the examples read beside the fixtures of the programs.
const MORE: &str = "
import sys, pathlib, numpy, pandas, xarray
root = pathlib.Path(sys.argv[1])
for name in ('tables', 'grids'):
    (root / name).mkdir()
pandas.DataFrame({'value': range(1000), 'other': 1.5}).to_parquet(root / 'tables/2026.parquet')
sst = xarray.DataArray(numpy.ones((3, 20, 30), 'f4'), dims=('time', 'y', 'x'), name='sst')
sst.to_netcdf(root / 'grids/sst.nc', engine='h5netcdf')
";

/// The blocks of code of a document: the language, the heading above, and the text.
fn blocks(text: &str) -> Vec<(String, String, String)> {
    let (mut found, mut heading, mut open) = (Vec::new(), String::new(), None::<(String, String)>);
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => {
                let (language, code) = open.take().unwrap();
                found.push((language, heading.clone(), code));
            }
            (Some((_, code)), None) => *code += &format!("{line}\n"),
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    title.clone_into(&mut heading);
                }
            }
        }
    }
    found
}

fn run(python: &Path, language: &str, code: &str, folder: &Path) -> Option<Command> {
    let mut command = match language {
        "python" => {
            let mut command = Command::new(python);
            command.args(["-c", code]);
            command
        }
        "sh" => {
            let programs = code.lines().filter_map(|line| line.split(' ').next());
            if !programs.into_iter().all(has_program) {
                return None;
            }
            let mut command = Command::new("bash");
            command.args(["-euo", "pipefail", "-c", code]);
            command
        }
        other => panic!("the tests can't run {other}"),
    };
    command.current_dir(folder).env("MPLBACKEND", "agg").env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

#[test]
fn every_block_of_python_and_shell_runs_on_a_mount() {
    let (Some(server), Some(python)) = (server(), python()) else { return };
    let folder = TempDir::new().unwrap();
    let local = folder.path().join("bucket");
    succeeds(script(&python, "make_fixtures.py").arg(&local));
    succeeds(Command::new(&python).args(["-c", MORE]).arg(&local));
    server.put_many(BUCKET, files_below(&local));
    let mount = mount(&server, &[]);
    let point = mount.path().to_str().unwrap().to_owned();
    let mut headings = Vec::new();
    for (language, heading, code) in blocks(&read("docs/howto.md")) {
        if language == "text" {
            continue;
        }
        assert!(code.contains("/mnt/data"), "{heading}: {code}");
        let code = code.replace("/mnt/data", &point);
        let scratch: PathBuf = folder.path().join(headings.len().to_string());
        fs::create_dir(&scratch).unwrap();
        let Some(mut command) = run(&python, &language, &code, &scratch) else { continue };
        let told = command.output().unwrap();
        assert!(told.status.success(), "{heading}:\n{code}\n{}", both(&told));
        assert!(!told.stdout.is_empty(), "{heading} shows nothing");
        headings.push(heading);
    }
    assert!(headings.len() >= 14, "{headings:?}");
    mount.end();
    assert_eq!(server.counts().put, 0);
}
