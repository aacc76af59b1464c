//! The screen: what a status says and how it changes, drawn into whatever room there is.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table};

use super::keys::Shown;
use super::lines;
use super::model::{Flow, Model, Order, real, text};
use crate::app::text::printable;
use crate::config::show_size;

/// From this width on there is room for more columns, and from this height on for taller lines.
const WIDE: u16 = 120;
const HIGH: u16 = 40;
/// The width of what stands before a value, and of a rate.
const NAME_CELLS: u16 = 13;
const RATE_CELLS: u16 = 14;
/// What the keys do, at length.
const HELP: &[&str] = &[
    "q, Esc     end",
    "p, space   hold the screen, and go on",
    "s          sort the files by the next column",
    "Up, Down   scroll the files; also j, k, PageUp, PageDown, Home",
    "Tab        the next mount, where there are several",
    "h, ?       this text, and away with it",
    "",
    "Rates are those of the last second. What was counted begins",
    "with the mount, or the last 's3mem status --reset'.",
    "Slowest requests: those under way, and of the last ten minutes.",
];

/// Draws all of it. These are the mounts to choose from, as they are called before they have
/// answered.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, shown: Shown, mounts: &[String]) {
    let area = frame.area();
    if model.status.is_null() {
        draw_wait(frame, area, shown, mounts);
        return;
    }
    let flow_rows = if area.height < HIGH { 1 } else { 3 };
    let facts = lines::facts(&model.status);
    let facts_rows = u16::try_from(facts.len()).unwrap_or(u16::MAX);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(flow_rows * Flow::ALL.len() as u16),
        Constraint::Length(facts_rows),
        Constraint::Fill(8),
        Constraint::Fill(5),
        Constraint::Length(1),
    ]);
    let [title, flows, facts_area, files, slowest, keys] = rows.areas(area);
    draw_title(frame, title, model, shown, mounts.len());
    draw_flows(frame, flows, flow_rows, model);
    let facts = facts.into_iter().map(|(name, value)| {
        let name = format!("{name:<width$}", width = usize::from(NAME_CELLS));
        Line::from(vec![Span::styled(name, quiet()), Span::raw(value)])
    });
    frame.render_widget(Paragraph::new(facts.collect::<Vec<_>>()), facts_area);
    draw_files(frame, files, model, shown);
    draw_slowest(frame, slowest, model);
    draw_keys(frame, keys, mounts.len());
    if shown.explains {
        draw_help(frame, area);
    }
}

/// Who is asked, before anything is known of it: no number that would be wrong.
fn draw_wait(frame: &mut Frame<'_>, area: Rect, shown: Shown, mounts: &[String]) {
    let rows = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)];
    let [title, _, keys] = Layout::vertical(rows).areas(area);
    let name = mounts.get(shown.mount).map(String::as_str).unwrap_or_default();
    let text = format!(" s3mem: asking {}", printable(name));
    frame.render_widget(Paragraph::new(text).style(bar()), title);
    draw_keys(frame, keys, mounts.len());
    if shown.explains {
        draw_help(frame, area);
    }
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, mounts: usize) {
    let tab = if mounts > 1 { "  Tab next mount" } else { "" };
    let text = format!(" q quit  p pause  s sort  Up/Down scroll{tab}  h help");
    frame.render_widget(Paragraph::new(text).style(bar()), area);
}

fn quiet() -> Style {
    Style::new().fg(Color::Cyan)
}

fn bar() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, model: &Model, shown: Shown, mounts: usize) {
    let status = &model.status;
    let of = |name| printable(text(status, name).unwrap_or_default()).into_owned();
    let age = lines::age(real(status, "mounted_seconds").unwrap_or_default());
    let mut right = format!(" {age} ");
    if mounts > 1 {
        right = format!(" {} of {mounts}, {age} ", shown.mount + 1);
    }
    if shown.is_paused {
        right = format!(" PAUSED{right}");
    }
    let widths = [Constraint::Fill(1), Constraint::Length(Span::raw(&right).width() as u16)];
    let [left, end] = Layout::horizontal(widths).areas(area);
    let title = format!(" s3mem: {} on {}", of("source"), of("mount_point"));
    frame.render_widget(Paragraph::new(title).style(bar()), left);
    frame.render_widget(Paragraph::new(right).style(bar()).alignment(Alignment::Right), end);
}

fn draw_flows(frame: &mut Frame<'_>, area: Rect, rows: u16, model: &Model) {
    let lines = Layout::vertical(Flow::ALL.map(|_| Constraint::Length(rows)));
    let lines: [Rect; Flow::ALL.len()] = lines.areas(area);
    for (flow, line) in Flow::ALL.into_iter().zip(lines) {
        let cells = Layout::horizontal([
            Constraint::Length(NAME_CELLS),
            Constraint::Length(RATE_CELLS),
            Constraint::Fill(1),
        ]);
        let [name, value, chart] = cells.areas(line);
        let (title, color) = match flow {
            Flow::Read => ("programs got", Color::Green),
            Flow::Fetched => ("bucket gave", Color::Blue),
            Flow::Sent => ("bucket took", Color::Magenta),
            Flow::Requests => ("requests", Color::Yellow),
        };
        frame.render_widget(Paragraph::new(title).style(quiet()), name);
        let rate = lines::rate(flow, model.rate(flow));
        frame.render_widget(Paragraph::new(rate).alignment(Alignment::Right), value);
        // The last rate stands at the right end.
        let room = usize::from(chart.width.saturating_sub(1));
        let rates = model.rates(flow, room);
        let width = u16::try_from(rates.len()).unwrap_or(chart.width);
        let chart = Rect { x: chart.right().saturating_sub(width), width, ..chart };
        let line = Sparkline::default().data(rates).style(Style::new().fg(color));
        frame.render_widget(line, chart);
    }
}

/// A column: its heading and its width.
type Column = (&'static str, Constraint);

/// The end of a text, as much as there is room for: that is what tells paths apart.
fn end_of(text: &str, room: u16) -> String {
    let text = printable(text);
    let room = usize::from(room);
    if Span::raw(text.as_ref()).width() <= room {
        return text.into_owned();
    }
    let ends = text.char_indices().map(|(at, _)| &text[at..]);
    let fits = |end: &&str| Span::raw(*end).width() < room;
    ends.skip(1).find(fits).map(|end| format!("…{end}")).unwrap_or_default()
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).alignment(Alignment::Right))
}

/// A table, and the width of the first column.
fn table<'t>(
    area: Rect,
    columns: &[Column],
    sorted: Option<usize>,
    rows: impl FnOnce(u16) -> Vec<Row<'t>>,
) -> Table<'t> {
    let widths: Vec<Constraint> = columns.iter().map(|(_, width)| *width).collect();
    let first = Layout::horizontal(&widths).spacing(1).split(area)[0].width;
    let head = columns.iter().enumerate().map(|(at, (name, _))| {
        let name = match sorted == Some(at) {
            true => format!("{name} v"),
            false => (*name).to_owned(),
        };
        // The first column, and the last one, are texts.
        if at == 0 || at + 1 == columns.len() { Cell::from(name) } else { right(name) }
    });
    let head = Row::new(head.collect::<Vec<_>>()).style(bar());
    Table::new(rows(first), widths).column_spacing(1).header(head)
}

fn draw_files(frame: &mut Frame<'_>, area: Rect, model: &Model, shown: Shown) {
    let is_wide = area.width >= WIDE;
    let mut columns: Vec<(Option<Order>, Column)> = vec![
        (Some(Order::Name), ("busiest files", Constraint::Fill(1))),
        (Some(Order::Rate), ("now", Constraint::Length(13))),
        (Some(Order::Fetched), ("from bucket", Constraint::Length(13))),
        (Some(Order::Requests), ("GETs", Constraint::Length(6))),
    ];
    if is_wide || shown.order == Order::Read {
        columns.push((Some(Order::Read), ("read", Constraint::Length(11))));
    }
    if is_wide {
        columns.push((None, ("opens", Constraint::Length(6))));
    }
    let programs = if is_wide { 40 } else { 14 };
    columns.push((None, ("opened by", Constraint::Length(programs))));
    let sorted = columns.iter().position(|(order, _)| *order == Some(shown.order));
    let names: Vec<Column> = columns.iter().map(|(_, column)| *column).collect();
    let rows = |first: u16| {
        let files = model.files(shown.order);
        let files = files.into_iter().skip(shown.above).take(usize::from(area.height));
        let row = |file: &super::model::File| {
            let mut cells = vec![
                Cell::from(end_of(&file.key, first)),
                right(lines::rate(Flow::Fetched, file.rate)),
                right(show_size(file.get_bytes)),
                right(file.get_requests.to_string()),
            ];
            if is_wide || shown.order == Order::Read {
                cells.push(right(show_size(file.read_bytes)));
            }
            if is_wide {
                cells.push(right(file.opens.to_string()));
            }
            cells.push(Cell::from(lines::programs(file)));
            Row::new(cells)
        };
        files.map(row).collect()
    };
    frame.render_widget(table(area, &names, sorted, rows), area);
}

fn draw_slowest(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let is_wide = area.width >= WIDE;
    let mut columns: Vec<Column> =
        vec![("slowest requests", Constraint::Fill(1)), ("kind", Constraint::Length(6))];
    if is_wide {
        columns.push(("answered", Constraint::Length(9)));
    }
    columns.extend([
        ("took", Constraint::Length(9)),
        ("bytes", Constraint::Length(11)),
        ("how it ended", Constraint::Length(19)),
    ]);
    let rows = |first: u16| {
        let row = |slow: &super::model::Slow| {
            let mut cells =
                vec![Cell::from(end_of(&slow.key, first)), right(slow.kind.to_uppercase())];
            if is_wide {
                let answered = slow.answered_seconds.map(|seconds| format!("{seconds:.3} s"));
                cells.push(right(answered.unwrap_or_else(|| "not yet".to_owned())));
            }
            cells.push(right(format!("{:.3} s", slow.seconds)));
            cells.push(right(show_size(slow.bytes)));
            cells.push(Cell::from(lines::end(slow)));
            let style = match slow.stage.as_str() {
                "under way" => Style::new().add_modifier(Modifier::BOLD),
                "failed" => Style::new().fg(Color::Red),
                _ => Style::new(),
            };
            Row::new(cells).style(style)
        };
        model.slowest.iter().take(usize::from(area.height)).map(row).collect()
    };
    frame.render_widget(table(area, &columns, None, rows), area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let width = HELP.iter().map(|line| line.len()).max().unwrap_or_default() as u16 + 4;
    let height = HELP.len() as u16 + 2;
    let [row] = Layout::vertical([Constraint::Length(height.min(area.height))])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    let [middle] = Layout::horizontal([Constraint::Length(width.min(area.width))])
        .flex(ratatui::layout::Flex::Center)
        .areas(row);
    let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::from(format!(" {line}"))).collect();
    frame.render_widget(Clear, middle);
    let block = Block::bordered().title(" s3mem status --watch ");
    frame.render_widget(Paragraph::new(lines).block(block), middle);
}

/// How many files there are to scroll through.
pub(super) fn file_count(model: &Model) -> usize {
    model.status["files"].as_array().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::samples::told;
    use super::*;

    fn model() -> Model {
        let mut model = Model::default();
        told().into_iter().for_each(|status| model.take(status).unwrap());
        model
    }

    fn drawn((width, height): (u16, u16), model: &Model, shown: Shown, mounts: usize) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let names: Vec<String> = (1..=mounts).map(|at| format!("/mnt/{at}")).collect();
        terminal.draw(|frame| draw(frame, model, shown, &names)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| -> String { (0..width).map(|x| buffer[(x, y)].symbol()).collect() };
        (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
    }

    /// As `tests/it/kernelless/cli` keeps help texts: `S3MEM_BLESS=1` writes them.
    #[track_caller]
    fn matches(name: &str, text: &str) {
        let path = format!("{}/src/app/watch/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("S3MEM_BLESS").is_some() {
            fs::write(&path, text).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
    }

    #[test]
    fn it_looks_like_this_on_a_small_and_on_a_large_terminal() {
        matches("80x24.txt", &drawn((80, 24), &model(), Shown::default(), 1));
        matches("200x60.txt", &drawn((200, 60), &model(), Shown::default(), 1));
    }

    #[test]
    fn it_says_how_files_are_sorted_that_it_is_paused_and_which_mount_it_is() {
        let shown = Shown { order: Order::Read, is_paused: true, mount: 1, ..Shown::default() };
        let text = drawn((80, 24), &model(), shown, 3);
        let title = text.lines().next().unwrap();
        assert!(title.contains("PAUSED 2 of 3, "), "{text}");
        assert!(text.contains("read v") && text.contains("Tab next mount"), "{text}");
        let first = model().files(Order::Read)[0].key.clone();
        let head = text.lines().position(|line| line.starts_with("busiest files")).unwrap();
        let row = text.lines().nth(head + 1).unwrap();
        let tail: String =
            first.chars().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect();
        assert!(row.contains(&tail), "{first} is not in {row:?}");
        // Scrolled by one, the second comes first.
        let scrolled = drawn((80, 24), &model(), Shown { above: 1, ..shown }, 3);
        assert_eq!(scrolled.lines().nth(head + 1), text.lines().nth(head + 2));
    }

    #[test]
    fn keys_are_explained_on_demand() {
        let shown = Shown { explains: true, ..Shown::default() };
        let text = drawn((80, 24), &model(), shown, 1);
        for line in HELP {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
    }

    #[test]
    fn before_the_first_answer_it_says_who_is_asked_and_no_number() {
        let shown = Shown { mount: 1, ..Shown::default() };
        let text = drawn((80, 24), &Model::default(), shown, 2);
        assert!(text.starts_with(" s3mem: asking /mnt/2\n"), "{text}");
        assert!(
            text.ends_with(" q quit  p pause  s sort  Up/Down scroll  Tab next mount  h help\n")
        );
        assert_eq!(text.chars().filter(char::is_ascii_digit).count(), 2, "{text}");
        let explained = Shown { explains: true, ..shown };
        assert!(drawn((80, 24), &Model::default(), explained, 2).contains(HELP[0]));
    }

    #[test]
    fn any_room_and_no_status_at_all_will_do() {
        let all = Shown { explains: true, is_paused: true, above: 99, ..Shown::default() };
        for size in [(1, 1), (7, 3), (20, 10), (80, 8), (300, 100)] {
            drawn(size, &model(), all, 2);
            drawn(size, &Model::default(), Shown::default(), 1);
        }
    }

    #[test]
    fn a_key_moves_no_cursor_and_turns_no_line_round() {
        let [mut status, _] = told();
        status["files"][0]["key"] = "a\u{1b}[2Jb\u{202e}c\n".into();
        status["files"][0]["get_bytes"] = u64::MAX.into();
        status["source"] = "x\u{1b}[1m".into();
        let mut model = Model::default();
        model.take(status).unwrap();
        let text = drawn((200, 60), &model, Shown { order: Order::Fetched, ..Shown::default() }, 1);
        assert!(text.contains(r"a\u{1b}[2Jb\u{202e}c\n"), "{text}");
        assert!(text.starts_with(r" s3mem: x\u{1b}[1m on "), "{text}");
        assert!(!text.replace('\n', "").contains(|c: char| c.is_control()));
    }

    #[test]
    fn a_long_name_shows_its_end() {
        assert_eq!(end_of("tiles/10/S/B01.jp2", 8), "…B01.jp2");
        assert_eq!(end_of("B01.jp2", 7), "B01.jp2");
        assert_eq!(end_of("日本日本", 5), "…日本");
        assert_eq!(end_of("ab", 0), "");
    }
}
