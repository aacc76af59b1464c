//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Order;

/// What is shown, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// What files are sorted by.
    pub(super) order: Order,
    /// How many files above are out of sight.
    pub(super) above: usize,
    /// Whether the screen stands still.
    pub(super) is_paused: bool,
    /// Whether the keys are explained.
    pub(super) explains: bool,
    /// Which of the mounts it is.
    pub(super) mount: usize,
}

/// What is to be done after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing but to draw.
    Draw,
    /// To ask another mount.
    Ask,
    /// To end.
    End,
}

impl Shown {
    /// Takes a key, where there are so many mounts and files.
    pub(super) fn press(&mut self, key: KeyEvent, (mounts, files): (usize, usize)) -> Then {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let last = files.saturating_sub(1);
        match key.code {
            KeyCode::Char('c') if is_control => return Then::End,
            KeyCode::Char('q') | KeyCode::Esc => return Then::End,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => (self.order, self.above) = (self.order.next(), 0),
            KeyCode::Char('h' | '?') => self.explains = !self.explains,
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.above = (self.above + 1).min(last),
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::PageDown => self.above = (self.above + 10).min(last),
            KeyCode::Home => self.above = 0,
            KeyCode::Tab if mounts > 1 => {
                (self.mount, self.above) = ((self.mount + 1) % mounts, 0);
                return Then::Ask;
            }
            _ => {}
        }
        Then::Draw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_pause_scroll_change_the_mount_and_end() {
        let mut shown = Shown::default();
        let mut press = |code| {
            let then = shown.press(KeyEvent::new(code, KeyModifiers::NONE), (2, 3));
            (then, shown)
        };
        assert!(press(KeyCode::Char('p')).1.is_paused);
        assert!(!press(KeyCode::Char(' ')).1.is_paused);
        assert_eq!(press(KeyCode::Down).1.above, 1);
        assert_eq!(press(KeyCode::PageDown).1.above, 2, "the last file stays in sight");
        assert_eq!(press(KeyCode::Up).1.above, 1);
        let (then, sorted) = press(KeyCode::Char('s'));
        assert_eq!((then, sorted.order, sorted.above), (Then::Draw, Order::Fetched, 0));
        assert!(press(KeyCode::Char('h')).1.explains);
        let (then, other) = press(KeyCode::Tab);
        assert_eq!((then, other.mount), (Then::Ask, 1));
        assert_eq!(press(KeyCode::Tab).1.mount, 0);
        assert_eq!(press(KeyCode::Char('q')).0, Then::End);
        assert_eq!(press(KeyCode::Char('c')).0, Then::Draw);
        let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(shown.press(control, (1, 0)), Then::End);
        let tab = KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE);
        assert_eq!(shown.press(tab, (1, 0)), Then::Draw, "there is no other mount");
    }
}
