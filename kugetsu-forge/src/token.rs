/// A token for a forge. It has neither `Debug` nor `Display` and is not serialised, so that nothing
/// shows it by mistake.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Keeps the text, without the white space around it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// For the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The text without the token, should the server have put it there.
    pub(crate) fn mask(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "********") }
    }
}
