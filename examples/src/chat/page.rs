//! What is on the screen: the conversation, a line of facts, and the line that is being typed.

mod input;
mod wrap;

use crossterm::{
    QueueableCommand,
    cursor::MoveTo,
    style::{Attribute, Print, SetAttribute},
    terminal::{Clear, ClearType},
};
use input::Input;
use std::io::{self, Write};
use wrap::{cut, plain, width, wrap};

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Person,
    Model,
    Program,
}

/// The page.
#[derive(Debug, Default)]
pub(super) struct Page {
    said: Vec<(Speaker, String)>,
    pub(super) input: Input,
    pub(super) status: String,
    /// How many lines above the last one the page ends.
    above: usize,
}

const PROMPT: &str = "> ";

impl Page {
    /// Adds something that was said.
    pub(super) fn say(&mut self, speaker: Speaker, text: &str) {
        self.said.push((speaker, plain(text)));
        self.above = 0;
    }

    /// Adds to what was said last.
    pub(super) fn go_on(&mut self, text: &str) {
        if let Some((_, said)) = self.said.last_mut() {
            said.push_str(&plain(text));
        }
    }

    pub(super) fn scroll(&mut self, lines: isize) {
        self.above = self.above.saturating_add_signed(lines);
    }

    pub(super) fn clear(&mut self) {
        self.said.clear();
        self.above = 0;
    }

    /// The page as lines: as many as there is room for.
    fn lines(&mut self, columns: usize, rows: usize) -> Vec<String> {
        let room = rows.saturating_sub(2);
        let mut lines = Vec::new();
        for (speaker, text) in &self.said {
            let mark = match speaker {
                Speaker::Person => "you: ",
                Speaker::Model => "",
                Speaker::Program => "-- ",
            };
            lines.extend(wrap(&format!("{mark}{text}"), columns));
        }
        self.above = self.above.min(lines.len().saturating_sub(room));
        lines.truncate(lines.len() - self.above);
        let mut lines = lines.split_off(lines.len().saturating_sub(room));
        lines.resize(room, String::new());
        lines.push(cut(&self.status, columns));
        lines.push(format!("{PROMPT}{}", self.shown_input(columns)));
        lines
    }

    /// The end of the line that is being typed, as far as it fits.
    fn shown_input(&self, columns: usize) -> String {
        let room = columns.saturating_sub(PROMPT.len() + 1);
        let typed = plain(self.input.text()).replace('\n', " ");
        let mut shown = typed.as_str();
        while width(shown) > room {
            let mut rest = shown.chars();
            rest.next();
            shown = rest.as_str();
        }
        shown.to_owned()
    }

    /// Draws the whole page.
    pub(super) fn draw(
        &mut self,
        screen: &mut impl Write,
        (columns, rows): (u16, u16),
    ) -> io::Result<()> {
        let lines = self.lines(columns.into(), rows.into());
        let status = lines.len().saturating_sub(2);
        let typed = lines.last().map_or(0, |line| width(line));
        for (row, (at, line)) in (0u16..).zip(lines.iter().enumerate()) {
            screen.queue(MoveTo(0, row))?;
            if at == status {
                screen.queue(SetAttribute(Attribute::Reverse))?;
            }
            screen.queue(Print(line))?.queue(SetAttribute(Attribute::Reset))?;
            screen.queue(Clear(ClearType::UntilNewLine))?;
        }
        let column = u16::try_from(typed).unwrap_or(u16::MAX);
        screen.queue(MoveTo(column, rows.saturating_sub(1)))?;
        screen.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_screen_shows_the_end_of_the_conversation() {
        let mut page = Page { status: "m  1 in 2 out".into(), ..Page::default() };
        page.say(Speaker::Person, "hello");
        page.say(Speaker::Model, "");
        page.go_on("one two three");
        assert_eq!(page.lines(9, 6), ["you:", "hello", "one two", "three", "m  1 in 2", "> "]);
        assert_eq!(page.lines(9, 4)[..2], ["one two", "three"]);
        page.scroll(10);
        assert_eq!(page.lines(9, 4)[..2], ["you:", "hello"]);
        page.scroll(-1);
        assert_eq!(page.lines(9, 4)[..2], ["hello", "one two"]);
    }

    #[test]
    fn no_screen_is_too_small() {
        let mut page = Page::default();
        page.say(Speaker::Model, "one two");
        for size in [(0, 0), (1, 1), (2, 2), (1, 5)] {
            page.draw(&mut Vec::new(), size).unwrap();
        }
    }

    #[test]
    fn what_a_model_says_commands_no_terminal() {
        let mut page = Page::default();
        page.say(Speaker::Model, "a\u{1b}]0;title\u{7}b\u{9b}31m");
        let mut drawn = Vec::new();
        page.draw(&mut drawn, (40, 4)).unwrap();
        let drawn = String::from_utf8(drawn).unwrap();
        assert!(drawn.contains("a]0;titleb31m"), "{drawn:?}");
    }
}
