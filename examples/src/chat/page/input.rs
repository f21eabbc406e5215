//! The line that is being typed, and those that were sent before.

use crate::chat::keys::Edit;

#[derive(Debug, Default)]
pub(in crate::chat) struct Input {
    text: String,
    sent: Vec<String>,
    /// How many lines back the shown one is; 0 is the one that is being typed.
    back: usize,
}

impl Input {
    pub(in crate::chat) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::chat) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(in crate::chat) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Insert(text) => self.text.push_str(&text),
            Edit::Backspace => drop(self.text.pop()),
            Edit::Erase => self.text.clear(),
            Edit::Earlier => self.show((self.back + 1).min(self.sent.len())),
            Edit::Later => self.show(self.back.saturating_sub(1)),
        }
    }

    fn show(&mut self, back: usize) {
        self.back = back;
        let line = self.sent.len().checked_sub(back).and_then(|at| self.sent.get(at));
        self.text = line.cloned().unwrap_or_default();
    }

    /// The line, which is sent now; `None` while there is nothing on it.
    pub(in crate::chat) fn take(&mut self) -> Option<String> {
        if self.text.trim().is_empty() {
            return None;
        }
        let line = std::mem::take(&mut self.text);
        self.sent.push(line.clone());
        self.back = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_sent_come_back() {
        let mut input = Input::default();
        assert_eq!(input.take(), None);
        for line in ["one", "two"] {
            input.edit(Edit::Insert(line.to_owned()));
            assert_eq!(input.take().as_deref(), Some(line));
        }
        let mut seen = Vec::new();
        for edit in [Edit::Earlier, Edit::Earlier, Edit::Earlier, Edit::Later, Edit::Later] {
            input.edit(edit);
            seen.push(input.text().to_owned());
        }
        assert_eq!(seen, ["two", "one", "one", "two", ""]);
    }
}
