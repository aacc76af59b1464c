//! The measurements as bars.

use std::fmt::Write;

use crate::history::Row;

const WIDTH: f64 = 860.0;
const NAMES: f64 = 110.0;
const BARS: f64 = 520.0;
const LINE: f64 = 19.0;

/// Bars of the seconds that each daemon took, work by work.
pub(crate) fn draw(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = 26.0;
    let mut left = rows;
    while let Some(first) = left.first() {
        let is_same = |row: &&Row| (&row.work, row.delay_ms) == (&first.work, first.delay_ms);
        let count = left.iter().take_while(is_same).count();
        let (here, behind) = left.split_at(count);
        left = behind;
        let title = format!("{}, {} ms a request", first.work, first.delay_ms);
        let _ = writeln!(body, "<text x='8' y='{y}' class='title'>{title}</text>");
        y += 10.0;
        let longest = here.iter().map(|row| row.seconds).fold(1e-6, f64::max);
        for row in here {
            let class = if row.daemon == "s3mem" { "ours" } else { "theirs" };
            let width = (row.seconds / longest * BARS).max(1.0);
            let text = y + LINE * 0.72;
            let (name, height) = (&row.daemon, LINE - 5.0);
            let _ =
                writeln!(body, "<text x='{}' y='{text}' class='name'>{name}</text>", NAMES - 8.0);
            let _ = writeln!(
                body,
                "<rect x='{NAMES}' y='{y}' width='{width:.1}' height='{height}' class='{class}'/>"
            );
            let _ = writeln!(
                body,
                "<text x='{:.1}' y='{text}'>{:.3} s, {} requests, {:.1} MB</text>",
                NAMES + width + 6.0,
                row.seconds,
                row.requests,
                row.bytes as f64 / 1e6
            );
            y += LINE;
        }
        y += 30.0;
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y}' \
         viewBox='0 0 {WIDTH} {y}'>\n<style>text {{ font: 12px sans-serif; fill: #333 }} \
         .title {{ font-weight: bold }} .name {{ text-anchor: end }} .ours {{ fill: #2b7a78 }} \
         .theirs {{ fill: #b8b8b8 }}</style>\n<rect width='100%' height='100%' fill='#fff'/>\n{body}</svg>\n"
    )
}
