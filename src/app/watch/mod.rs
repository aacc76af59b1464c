//! `s3mem status --watch`: a screen that lives, or lines where there is no terminal.
//!
//! Contract: what is shown is what `status --json` says, asked for again and again; a rate is the
//! difference of two of them over the daemon's own time. Whoever is asked may be silent: a
//! thread of its own waits, so keys always work.

mod keys;
mod lines;
mod model;
#[cfg(test)]
mod samples;
mod screen;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::keys::{Shown, Then};
use self::model::Model;

/// How often it is looked for an answer while no key is pressed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why nothing can be watched any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError<E: std::error::Error> {
    /// The mount can't be asked.
    #[error(transparent)]
    Asked(E),
    /// It says something that this program does not understand.
    #[error(
        "the daemon says something that this s3mem does not understand ({0}); it was probably \
         started by another version"
    )]
    Status(#[from] serde_json::Error),
    /// The terminal or the output is gone.
    #[error("the screen can't be drawn: {0}")]
    Terminal(#[from] io::Error),
}

/// What to watch, and how.
#[derive(Debug)]
pub(super) struct Watch {
    /// The mounts, as they are called before they have answered.
    pub(super) mounts: Vec<String>,
    /// How long it is from one question to the next.
    pub(super) every: Duration,
    /// Whether lines are the JSON itself.
    pub(super) is_json: bool,
}

/// Watches until a key, a closed pipe or the end of the mount ends it. `ask` gives the status of
/// one of the mounts as JSON.
pub(super) fn run<E: std::error::Error + Send + 'static>(
    watch: Watch,
    ask: impl Fn(usize) -> Result<String, E> + Send + 'static,
) -> Result<(), WatchError<E>> {
    if !watch.is_json && io::stdout().is_terminal() && io::stdin().is_terminal() {
        let asker = Asker::start(ask)?;
        // From here on a panic gives the terminal back, too.
        let mut terminal = ratatui::try_init()?;
        let outcome = show(&watch, &asker, &mut terminal);
        ratatui::restore();
        return outcome;
    }
    write_lines(&watch, &ask)
}

/// A line for each mount, again and again, until nobody reads them.
fn write_lines<E: std::error::Error>(
    watch: &Watch,
    ask: &dyn Fn(usize) -> Result<String, E>,
) -> Result<(), WatchError<E>> {
    let mut models: Vec<Option<Model>> = watch.mounts.iter().map(|_| None).collect();
    loop {
        for (mount, known) in models.iter_mut().enumerate() {
            let text = ask(mount).map_err(WatchError::Asked)?;
            let line = match (watch.is_json, known) {
                (true, _) => text,
                // The first has no rates.
                (false, known @ None) => {
                    known.insert(Model::default()).take(serde_json::from_str(&text)?)?;
                    continue;
                }
                (false, Some(model)) => {
                    model.take(serde_json::from_str(&text)?)?;
                    let time = humantime::format_rfc3339_seconds(SystemTime::now());
                    lines::plain(model, &time.to_string()) + "\n"
                }
            };
            let mut out = io::stdout().lock();
            match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
        thread::sleep(watch.every);
    }
}

/// A thread that asks, one question at a time.
#[derive(Debug)]
struct Asker<E> {
    questions: Sender<usize>,
    answers: Receiver<(usize, Result<String, E>)>,
}

impl<E: Send + 'static> Asker<E> {
    fn start(ask: impl Fn(usize) -> Result<String, E> + Send + 'static) -> io::Result<Asker<E>> {
        let (questions, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        // It ends with the process, or when the screen is gone.
        thread::Builder::new().name("ask".into()).spawn(move || {
            for mount in asked {
                if answer.send((mount, ask(mount))).is_err() {
                    return;
                }
            }
        })?;
        Ok(Asker { questions, answers })
    }
}

fn show<E: std::error::Error + Send + 'static>(
    watch: &Watch,
    asker: &Asker<E>,
    terminal: &mut DefaultTerminal,
) -> Result<(), WatchError<E>> {
    let mut shown = Shown::default();
    let mut model = Model::default();
    let mut next = Instant::now();
    let mut is_asking = false;
    loop {
        if !is_asking && !shown.is_paused && Instant::now() >= next {
            // Whoever does not answer has taken the thread along, which the next look shows.
            is_asking = asker.questions.send(shown.mount).is_ok();
            next = Instant::now() + watch.every;
        }
        while let Ok((mount, answer)) = asker.answers.try_recv() {
            is_asking = false;
            let text = answer.map_err(WatchError::Asked)?;
            if mount == shown.mount && !shown.is_paused {
                model.take(serde_json::from_str(&text)?)?;
            }
        }
        terminal.draw(|frame| screen::draw(frame, &model, shown, &watch.mounts))?;
        if !event::poll(LOOK_EVERY)? {
            continue;
        }
        // A new size is an event as well, and is drawn next.
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match shown.press(key, (watch.mounts.len(), screen::file_count(&model))) {
            Then::Draw => {}
            Then::Ask => (model, next) = (Model::default(), Instant::now()),
            Then::End => return Ok(()),
        }
    }
}
