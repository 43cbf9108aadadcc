//! `kugetsu watch`: slots, queue and agents on a board that is always up to date.

mod board;
mod entry;
mod keys;
mod live;
mod log;
mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::args::Watch;
use crate::errors::CliError;
use crate::setup::Setup;
use crate::surroundings::Surroundings;
use board::Board;
use source::Source;
use view::Look;

/// How many settled tasks a picture shows.
const IN_A_PICTURE: usize = 20;

/// How wide a picture is that no terminal gives a width.
const COLUMNS: usize = 100;

pub(super) async fn watch(args: Watch, setup: &Setup) -> Result<(), CliError> {
    let (screen, around) = (setup.screen(), setup.around());
    let elsewhere = "use `kugetsu list`, `kugetsu queue list` or `kugetsu logs -f <issue>`";
    if screen.json {
        return Err(CliError::usage("the board has no JSON form")
            .hint("use `kugetsu queue list --json` or `kugetsu slots --json`"));
    }
    let is_dumb = around.variable("TERM").is_some_and(|term| term == "dumb");
    let can_draw = screen.terminals.input && screen.terminals.output && !is_dumb;
    if !args.once && !can_draw {
        return Err(CliError::usage("the board needs a terminal that it can draw on")
            .hint(format!("`kugetsu watch --once` prints it as it is now; else {elsewhere}")));
    }
    setup.must_be_made()?;
    let source = Source::open(setup).await?;
    let place = screen.path(setup.paths()?.root());
    let server = setup.settings()?.default_server().unwrap_or("github.com");
    let mut board = Board::new(place, server, source.now()).with_mask(screen.mask());
    let look = Look { colour: screen.paints_output(), unicode: is_utf8(around), still: args.once };
    if !args.once {
        return live::live(&source, &mut board, look).await;
    }
    board = board.with_settled(IN_A_PICTURE);
    source.fill(&mut board).await?;
    for line in picture(&mut board, look, screen.width().unwrap_or(COLUMNS)) {
        screen.say(line)?;
    }
    Ok(())
}

/// The board in plain lines.
fn picture(board: &mut Board, look: Look, columns: usize) -> Vec<String> {
    let columns = u16::try_from(columns).unwrap_or(u16::MAX).clamp(40, 500);
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, view::height(board)));
    view::draw(board, look, &mut buffer);
    let mut lines: Vec<String> =
        buffer.content.chunks(usize::from(columns)).map(view::text).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// Whether the locale says that more than ASCII can be shown.
fn is_utf8(around: &Surroundings) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| around.variable(name))
        .find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
