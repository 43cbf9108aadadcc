//! Drawing lines of text: how wide they are, how they are cut, and how they look.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::screen::Tone;

/// The most characters of one cell: a letter can carry marks without end.
const MARKS: usize = 12;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::watch) struct Look {
    pub(in crate::commands::watch) colour: bool,
    /// Whether more than ASCII is shown.
    pub(in crate::commands::watch) unicode: bool,
    /// Whether it is a picture and no board: without keys and selection.
    pub(in crate::commands::watch) still: bool,
}

impl Look {
    /// This sign, or its stand-in.
    pub(super) fn sign(self, sign: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { sign } else { ascii }
    }

    fn style(self, tone: Tone) -> Style {
        let style = Style::default();
        match (tone, self.colour) {
            (Tone::Strong, _) | (Tone::Bad, false) => style.add_modifier(Modifier::BOLD),
            (Tone::Faint, true) => style.add_modifier(Modifier::DIM),
            (Tone::Good, true) => style.fg(Color::Green),
            (Tone::Bad, true) => style.fg(Color::Red),
            (Tone::Plain, _) | (Tone::Faint | Tone::Good, false) => style,
        }
    }
}

/// Draws lines from top to bottom, and never outside of its area.
pub(super) struct Brush<'a> {
    buffer: &'a mut Buffer,
    pub(super) look: Look,
    area: Rect,
    next: u16,
}

impl<'a> Brush<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        let area = buffer.area;
        Self { buffer, look, area, next: area.y }
    }

    pub(super) fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// How many lines are left.
    pub(super) fn left(&self) -> usize {
        usize::from(self.area.bottom().saturating_sub(self.next))
    }

    /// Goes to so many lines above the bottom.
    pub(super) fn bottom(&mut self, lines: u16) {
        self.next = self.area.bottom().saturating_sub(lines).max(self.area.y);
    }

    /// A line of pieces, one after the other.
    pub(super) fn line(&mut self, pieces: &[(Tone, &str)]) {
        if self.left() == 0 {
            return;
        }
        let mut x = self.area.x;
        for (tone, text) in pieces {
            let room = usize::from(self.area.right().saturating_sub(x));
            let text = cut(text, room, self.look);
            (x, _) = self.buffer.set_stringn(x, self.next, &text, room, self.look.style(*tone));
        }
        self.next += 1;
    }

    /// A line in reverse video from edge to edge.
    pub(super) fn bar(&mut self, pieces: &[(Tone, &str)]) {
        let line = Rect { y: self.next, height: 1, ..self.area };
        self.line(pieces);
        let style = Style::default().add_modifier(Modifier::REVERSED);
        self.buffer.set_style(line.intersection(self.area), style);
    }

    /// A heading, with a rule to the edge.
    pub(super) fn rule(&mut self, title: &str) {
        let rule = self.look.sign("─", "-");
        let used = width(title) + 4;
        let rest = rule.repeat(self.width().saturating_sub(used));
        let lead = format!("{rule} ");
        let title = cut(title, self.width().saturating_sub(4), self.look);
        self.line(&[
            (Tone::Faint, &lead),
            (Tone::Strong, &title),
            (Tone::Faint, " "),
            (Tone::Faint, &rest),
        ]);
    }

    /// Shows nothing but ASCII, if it must.
    pub(super) fn finish(self) {
        if self.look.unicode {
            return;
        }
        for cell in &mut self.buffer.content {
            if !cell.symbol().is_ascii() {
                cell.set_symbol("?");
            }
        }
    }
}

/// What is written in a row of cells, without the room at its end.
pub(in crate::commands::watch) fn text(cells: &[Cell]) -> String {
    let (mut line, mut hidden) = (String::new(), 0);
    for cell in cells {
        if hidden == 0 {
            line.push_str(cell.symbol());
            hidden = width(cell.symbol());
        }
        hidden = hidden.saturating_sub(1);
    }
    line.trim_end().to_owned()
}

/// How many columns the text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in at most so many columns. Where it was cut it says so.
pub(super) fn cut(text: &str, most: usize, look: Look) -> String {
    let more = look.sign("…", "~");
    let is_whole = width(text) <= most;
    let room = if is_whole { most } else { most.saturating_sub(1) };
    let mut short = taken(text, room).0;
    if !is_whole && most > 0 {
        short.push_str(more);
    }
    short
}

/// The text in exactly so many columns.
pub(super) fn fill(text: &str, columns: usize, look: Look) -> String {
    let mut text = cut(text, columns, look);
    let rest = columns.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', rest));
    text
}

/// The end of the text in at most so many columns: of an issue's name the number matters most, and
/// of what is being said the last words. Where it was cut it says so.
pub(super) fn tail(text: &str, most: usize, look: Look) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    // A character takes a column or more, but for those that go with another.
    let from = text.char_indices().rev().nth(most).map_or(0, |(at, _)| at);
    let mut rest = &text[from..];
    while width(rest) + 1 > most {
        let mut next = rest.chars();
        if next.next().is_none() {
            break;
        }
        rest = next.as_str();
    }
    format!("{}{rest}", look.sign("…", "~"))
}

/// The text in exactly so many columns, at their right.
pub(super) fn right(text: &str, columns: usize, look: Look) -> String {
    let text = cut(text, columns, look);
    let rest = columns.saturating_sub(width(&text));
    format!("{}{text}", " ".repeat(rest))
}

/// The text in lines of at most so many columns.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, length) = taken(rest, columns.max(2));
        if length == 0 {
            break;
        }
        // Between words, if there are any.
        let space = (length < rest.len()).then(|| rest[..length].rfind(' ')).flatten();
        if let Some(at) = space.filter(|at| *at > length / 2) {
            lines.push(taken(&rest[..at], columns).0);
            rest = &rest[at + 1..];
        } else {
            lines.push(line);
            rest = &rest[length..];
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// What fits into so many columns, and how many bytes of the text that is.
fn taken(text: &str, columns: usize) -> (String, usize) {
    let (mut used, mut shown, mut length) = (0, String::new(), 0);
    let span = Span::raw(text);
    for grapheme in span.styled_graphemes(Style::default()) {
        let symbol = grapheme.symbol;
        used += width(symbol);
        if used > columns {
            break;
        }
        shown.extend(symbol.chars().take(MARKS));
        // Those in between are left out by whoever cuts it into graphemes.
        length = text[length..].find(symbol).map_or(length, |at| length + at + symbol.len());
    }
    (shown, length)
}
