//! The board at work: it hears, is told keys, and is drawn.

use std::future::pending;
use std::time::Duration;

use kugetsu_core::{Cursor, Event, StoreError, TaskId};
use kugetsu_queue::Follower;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::board::{Board, Deed};
use super::source::Source;
use super::terminal::{Terminal, pressed};
use super::view::{self, Look};
use crate::errors::{CliError, Kind};

/// The shortest time between two pictures.
const PICTURE: Duration = Duration::from_millis(100);

/// How often the clock, the slots and the holds are looked at.
const LOOK: Duration = Duration::from_secs(1);

type Heard = Result<Vec<(Cursor, Event)>, StoreError>;

/// The signals that end a board.
struct Ends([Signal; 3]);

/// What the board has to be told from outside.
struct Ears {
    events: Follower,
    /// The log that is open.
    log: Option<Follower>,
    /// Whether the store could not be read: it is not tried again before the next look.
    rest: bool,
}

impl Ears {
    fn fail(&mut self, board: &mut Board, error: &StoreError) -> bool {
        self.rest = true;
        board.say(format!("trouble: {error}"));
        true
    }
}

pub(super) async fn live(
    source: &Source<'_>,
    board: &mut Board,
    look: Look,
) -> Result<(), CliError> {
    let mut ends = Ends::listen()?;
    let mut resized = listen(SignalKind::window_change())?;
    let mut continued = listen(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let mut ears = Ears { events: source.fill(board).await?, log: None, rest: false };
    let fault = |error: &std::io::Error| CliError::io("use the terminal", error);
    let mut terminal = Terminal::take(look.colour).map_err(|error| fault(&error))?;
    let mut keys = pressed();
    let mut deeds: JoinSet<Result<String, CliError>> = JoinSet::new();
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn: Option<Instant> = None;
    let mut is_stale = true;
    loop {
        let next = drawn.map(|at| at + PICTURE);
        if is_stale && next.is_none_or(|next| next <= Instant::now()) {
            board.now = source.now();
            terminal
                .draw(|buffer| view::draw(board, look, buffer))
                .map_err(|error| fault(&error))?;
            (drawn, is_stale) = (Some(Instant::now()), false);
        }
        tokio::select! {
            biased;
            () = ends.come() => return Err(CliError::new(Kind::Interrupted, "")),
            pressed = keys.recv() => {
                // Without its terminal nobody sees it any more.
                let Some(pressed) = pressed else {
                    return Err(CliError::new(Kind::Interrupted, ""));
                };
                for key in pressed {
                    let Some(deed) = board.press(key) else { continue };
                    match deed {
                        Deed::Quit => return Ok(()),
                        Deed::Suspend => terminal.suspend().map_err(|error| fault(&error))?,
                        Deed::Redraw => {
                            terminal.retake().map_err(|error| fault(&error))?;
                            match source.fill(board).await {
                                Ok(events) => ears.events = events,
                                Err(error) => board.say(error.told(false)),
                            }
                        }
                        Deed::OpenLog(_, created) => match source.log(created).await {
                            Ok(log) => ears.log = Some(log),
                            Err(error) => board.say(error.told(false)),
                        },
                        Deed::CloseLog => ears.log = None,
                        _ => drop(deeds.spawn(source.hands().carry_out(deed))),
                    }
                }
                is_stale = true;
            }
            Some(done) = deeds.join_next() => {
                let done = done.map_err(|error| CliError::failed(error.to_string()))?;
                board.say(done.unwrap_or_else(|error| error.told(false)));
                see(source, board).await;
                is_stale = true;
            }
            _ = tick.tick() => {
                ears.rest = false;
                board.now = source.now();
                let lapsed = board.lapsed();
                renew(source, board, &lapsed).await;
                see(source, board).await;
                is_stale = true;
            }
            _ = resized.recv() => is_stale = true,
            _ = continued.recv() => {
                terminal.retake().map_err(|error| fault(&error))?;
                is_stale = true;
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if is_stale => {}
            heard = ears.events.next(), if !ears.rest => match heard {
                Ok(events) => {
                    hear(source, board, &events).await;
                    is_stale = true;
                }
                Err(error) => is_stale = ears.fail(board, &error),
            },
            heard = of(&mut ears.log), if !ears.rest => match (heard, &mut board.log) {
                (Ok(events), Some(log)) => {
                    is_stale |= events.iter().filter(|(_, event)| log.hear(event)).count() > 0;
                }
                (Ok(_), None) => {}
                (Err(error), _) => is_stale = ears.fail(board, &error),
            },
        }
    }
}

impl Ends {
    fn listen() -> Result<Self, CliError> {
        Ok(Self([
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::interrupt())?,
        ]))
    }

    async fn come(&mut self) {
        let Self([terminate, hangup, interrupt]) = self;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::io("listen for signals", &error))
}

async fn of(log: &mut Option<Follower>) -> Heard {
    match log {
        Some(log) => log.next().await,
        None => pending().await,
    }
}

/// Takes in what happened, and loads the tasks that it has changed.
async fn hear(source: &Source<'_>, board: &mut Board, events: &[(Cursor, Event)]) {
    let mut changed: Vec<TaskId> = Vec::new();
    for (_, event) in events {
        if board.hear(event) && !changed.contains(&event.task) {
            changed.push(event.task);
        }
    }
    renew(source, board, &changed).await;
    if !changed.is_empty() {
        see(source, board).await;
    }
}

async fn renew(source: &Source<'_>, board: &mut Board, ids: &[TaskId]) {
    if let Err(error) = source.renew(board, ids).await {
        board.say(error.told(false));
    }
}

async fn see(source: &Source<'_>, board: &mut Board) {
    match source.look().await {
        Ok(sight) => drop(board.see(sight)),
        Err(error) => board.say(error.told(false)),
    }
}
