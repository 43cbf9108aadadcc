use std::time::Duration;

/// Something that an agent can be told to do in one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deed {
    /// It says this: a few words without line breaks.
    Say(String),
    /// It writes a line of text to a file in its directory, tells of the tool with which it did
    /// (`ToolStarted`, then `ToolEnded` with `ok`), and then says something.
    Write {
        /// The file's name, relative to the directory.
        file: String,
        /// What is written, without the line break at its end.
        text: String,
    },
    /// It says what it was told earlier in this conversation: at least the first forty characters
    /// of each earlier message and of the briefing.
    Recall,
    /// It asks for something that nobody may grant, and goes on without it if it can.
    Ask,
    /// Its model fails in a way that no further attempt would mend.
    Fail,
    /// Its model is over its rate limit, and stays so.
    BeRateLimited {
        /// How long the model says to wait.
        retry_after: Option<Duration>,
    },
    /// It does nothing until it is stopped.
    Hang,
    /// It waits until a gate opens, and then says `past` and the gate's name.
    WaitAt(String),
    /// It ends its turn without saying or doing anything.
    Nothing,
}

impl Deed {
    /// The deed as a message for an agent whose model is the [scripted](crate::model) one.
    pub fn script(&self) -> String {
        match self {
            Self::Say(text) => format!("MODEL: say {text}"),
            Self::Write { file, text } => format!("MODEL: write {file} {text} ;; say written"),
            Self::Recall => "MODEL: history".to_owned(),
            Self::Ask => "MODEL: ask /etc/hostname ;; say went on".to_owned(),
            Self::Fail => "MODEL: http 401".to_owned(),
            Self::BeRateLimited { retry_after: None } => "MODEL: http 429".to_owned(),
            Self::BeRateLimited { retry_after: Some(wait) } => {
                format!("MODEL: http 429 {} {}", u32::MAX, wait.as_secs())
            }
            Self::Hang => "MODEL: hang".to_owned(),
            Self::WaitAt(gate) => format!("MODEL: gate {gate} ;; say past {gate}"),
            Self::Nothing => "MODEL: say".to_owned(),
        }
    }
}
