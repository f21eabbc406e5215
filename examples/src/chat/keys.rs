//! What each key does.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a person wants.
pub(super) enum Action {
    /// Leave the chat.
    Leave,
    /// Send the line.
    Send,
    /// Stop the answer.
    Stop,
    /// Ask another model from now on.
    NextModel,
    /// Forget the conversation.
    Clear,
    /// Change the line.
    Edit(Edit),
    /// Look at earlier lines, or later ones.
    Scroll(isize),
}

/// A change of the line.
pub(super) enum Edit {
    /// More text.
    Insert(String),
    /// One character less.
    Backspace,
    /// Nothing any more.
    Erase,
    /// The line that was sent before this one.
    Earlier,
    /// The line that was sent after it.
    Later,
}

/// The most lines that one key scrolls.
const PAGE: isize = 10;

/// What an event of the terminal means while an answer runs or not, and a line is begun or not.
pub(super) fn action(event: &Event, answering: bool, empty: bool) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(key, answering, empty),
        Event::Paste(text) => Some(Action::Edit(Edit::Insert(text.clone()))),
        _ => None,
    }
}

fn of_key(key: &KeyEvent, answering: bool, empty: bool) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') if answering => Some(Action::Stop),
            KeyCode::Char('c') if !empty => Some(Action::Edit(Edit::Erase)),
            KeyCode::Char('c' | 'd') => Some(Action::Leave),
            KeyCode::Char('l') => Some(Action::Clear),
            KeyCode::Char('u') => Some(Action::Edit(Edit::Erase)),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Enter => Action::Send,
        KeyCode::Esc => Action::Stop,
        KeyCode::Tab => Action::NextModel,
        KeyCode::PageUp => Action::Scroll(PAGE),
        KeyCode::PageDown => Action::Scroll(-PAGE),
        KeyCode::Backspace => Action::Edit(Edit::Backspace),
        KeyCode::Up => Action::Edit(Edit::Earlier),
        KeyCode::Down => Action::Edit(Edit::Later),
        KeyCode::Char(letter) => Action::Edit(Edit::Insert(letter.to_string())),
        _ => return None,
    })
}
