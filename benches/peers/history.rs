//! What was measured, as one line of JSON for each run of the benchmark, and beside an
//! earlier run.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use crate::Result;

/// Slower by more than this is told: medians of a busy machine differ by as much.
const NOTABLE: f64 = 1.1;
/// A difference in seconds that is never told.
const LEAST: f64 = 0.03;

/// What one daemon took for one work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) delay_ms: u64,
    pub(crate) daemon: String,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) peak_bytes: u64,
}

impl Row {
    fn to_json(&self) -> String {
        format!(
            "{{\"work\":{:?},\"delay_ms\":{},\"daemon\":{:?},\"seconds\":{:.6},\"cpu_seconds\":{:.2},\
             \"requests\":{},\"bytes\":{},\"peak_bytes\":{}}}",
            self.work,
            self.delay_ms,
            self.daemon,
            self.seconds,
            self.cpu_seconds,
            self.requests,
            self.bytes,
            self.peak_bytes
        )
    }

    /// Reads what [`Row::to_json`] wrote.
    fn of_json(text: &str) -> Option<Row> {
        let value = |name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
            Some(rest.split([',', '}']).next()?.trim_matches('"').to_owned())
        };
        let whole = |name| value(name)?.parse().ok();
        let part = |name| value(name)?.parse().ok();
        Some(Row {
            work: value("work")?,
            delay_ms: whole("delay_ms")?,
            daemon: value("daemon")?,
            seconds: part("seconds")?,
            cpu_seconds: part("cpu_seconds")?,
            requests: whole("requests")?,
            bytes: whole("bytes")?,
            peak_bytes: whole("peak_bytes")?,
        })
    }
}

/// Adds a run to a file of such lines.
pub(crate) fn append(path: &Path, size: &str, rows: &[Row]) -> Result<()> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism()?;
    let rows: Vec<String> = rows.iter().map(Row::to_json).collect();
    let line = format!(
        "{{\"version\":{:?},\"seconds_since_1970\":{},\"machine\":{:?},\"size\":{size:?},\"rows\":[{}]}}\n",
        env!("CARGO_PKG_VERSION"),
        since.as_secs(),
        format!("{} x {}", cores, model.map_or("unknown", |(_, model)| model)),
        rows.join(",")
    );
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    Ok(file.write_all(line.as_bytes())?)
}

/// The last run in such a file, of files of this size.
pub(crate) fn last(path: &Path, size: &str) -> Result<Vec<Row>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let size = format!("\"size\":{size:?}");
    let line = text.lines().rfind(|line| line.contains(&size));
    let line = line.ok_or_else(|| format!("{} has no run of {size}", path.display()))?;
    let (_, rows) = line.split_once("\"rows\":[").ok_or("there are no rows in the last line")?;
    let rows = rows.split("},{").map(|row| Row::of_json(row).ok_or("a row can't be read"));
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Says what got slower or quicker than in an earlier run.
pub(crate) fn compare(before: &[Row], now: &[Row]) {
    let mut any = false;
    println!("\nbeside the earlier run:");
    for row in now {
        let is_same = |old: &&Row| {
            (&old.work, old.delay_ms, &old.daemon) == (&row.work, row.delay_ms, &row.daemon)
        };
        let Some(old) = before.iter().find(is_same) else { continue };
        let figures = [
            ("seconds", old.seconds, row.seconds),
            ("CPU seconds", old.cpu_seconds, row.cpu_seconds),
            ("requests", old.requests as f64, row.requests as f64),
            ("bytes", old.bytes as f64, row.bytes as f64),
        ];
        for (what, old, new) in figures {
            // Processor time is counted in hundredths.
            if (new - old).abs() < LEAST {
                continue;
            }
            if new > old * NOTABLE || old > new * NOTABLE {
                any = true;
                let (work, delay, daemon) = (&row.work, row.delay_ms, &row.daemon);
                println!("  {daemon}, {work} at {delay} ms: {old:.3} {what}, now {new:.3}");
            }
        }
    }
    if !any {
        println!("  nothing differs by more than {:.0} %", (NOTABLE - 1.0) * 100.0);
    }
}
