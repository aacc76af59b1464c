//! The measurements as bars.

use std::fmt::Write;

/// A work, who did it, whether the file was known, seconds, and bytes.
pub(crate) type Bar<'a> = (&'a str, &'a str, bool, f64, u64);

const WIDTH: f64 = 860.0;
const NAMES: f64 = 230.0;
const BARS: f64 = 470.0;
const LINE: f64 = 19.0;

/// Bars of the crop and of the overview, which are what people wait for.
pub(crate) fn draw(bars: &[Bar<'_>]) -> String {
    let works = [("crop", "500 x 500 pixels"), ("overview", "the whole image at 1/16")];
    let mut body = String::new();
    let mut y = 26.0;
    for (work, title) in works {
        let rows: Vec<_> = bars.iter().filter(|bar| bar.0 == work).collect();
        let longest = rows.iter().map(|bar| bar.3).fold(0.1, f64::max);
        let _ = writeln!(body, "<text x='8' y='{y}' class='title'>{title}</text>");
        y += 10.0;
        for (_, name, again, seconds, bytes) in rows {
            let class = if name.starts_with("s3mem") || *again { "ours" } else { "theirs" };
            let width = (seconds / longest * BARS).max(1.0);
            let text = y + LINE * 0.72;
            let _ =
                writeln!(body, "<text x='{}' y='{text}' class='name'>{name}</text>", NAMES - 8.0);
            let _ = writeln!(
                body,
                "<rect x='{NAMES}' y='{y}' width='{width:.1}' height='{}' class='{class}'/>",
                LINE - 5.0
            );
            let _ = writeln!(
                body,
                "<text x='{:.1}' y='{text}'>{seconds:.2} s, {:.1} MB</text>",
                NAMES + width + 6.0,
                *bytes as f64 / 1e6
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
