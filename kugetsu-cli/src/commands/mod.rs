//! The commands, one a file.

mod agents;
#[cfg(feature = "testkit")]
mod backend;
mod beside;
#[cfg(feature = "demo")]
mod capacity;
mod completions;
mod config;
mod context;
mod r#continue;
mod delegate;
#[cfg(feature = "demo")]
mod demo;
mod destroy;
mod doctor;
mod env;
mod foreground;
mod help;
mod import;
mod init;
mod issue_text;
mod list;
mod logs;
mod man;
mod mcp;
mod notify;
mod prune;
mod pull;
mod queue;
mod queue_daemon;
mod schema;
mod server;
mod set_pr;
mod slots;
mod start;
mod status;
mod stop;
mod store;
mod watch;
mod why;

use tokio::runtime::{self, Runtime};

use crate::args::{Command, Config, Queue, QueueDaemon, Slots};
use crate::errors::CliError;
use crate::setup::Setup;

pub(crate) use queue_daemon::daemon;

/// Carries out a command, on no larger a runtime than it needs.
pub(crate) fn carry_out(command: Command, setup: &Setup) -> Result<(), CliError> {
    // Where there are no paths there is no directory of anybody's.
    if setup.paths().is_ok() || !matches!(command, Command::Completions { .. }) {
        setup.caller()?.check(&command, setup.global())?;
    }
    setup.hide_secrets();
    let converts = matches!(command, Command::Store(_));
    let done = dispatch(command, setup);
    done.map_err(|error| if converts { error } else { setup.or_converted(error) })
}

fn dispatch(command: Command, setup: &Setup) -> Result<(), CliError> {
    match command {
        Command::Completions { shell } => completions::print(shell, setup),
        Command::Config(Config::List) => config::list(setup),
        Command::Help { what } => help::help(&what, setup),
        Command::Man { dir } => man::man(&dir, setup),
        Command::Env(args) => env::env(args, setup),
        Command::Server(args) => small()?.block_on(server::server(args, setup)),
        Command::SetPr(args) => small()?.block_on(set_pr::set_pr(args, setup)),
        Command::Context(args) => small()?.block_on(context::context(args, setup)),
        Command::Doctor(args) => with_agents(setup, doctor::doctor(args, setup)),
        Command::Store(args) => small()?.block_on(store::store(args, setup)),
        Command::Import(args) => with_agents(setup, import::import(args, setup)),
        Command::Status => looking(status::status(setup)),
        Command::Delegate(args) => small()?.block_on(delegate::delegate(args, setup)),
        Command::Mcp(args) => with_agents(setup, mcp::mcp(args, setup)),
        Command::List(args) => looking(list::list(args, setup)),
        Command::Slots { what: None } => looking(slots::slots(setup)),
        Command::Slots { what: Some(Slots::Run(args)) } => slots::run(&args, setup),
        Command::Why(args) => small()?.block_on(why::why(args, setup)),
        Command::Watch(args) => small()?.block_on(watch::watch(args, setup)),
        Command::Queue(args @ (Queue::List { .. } | Queue::Stats | Queue::Show { .. })) => {
            looking(queue::queue(args, setup))
        }
        Command::Queue(args) => small()?.block_on(queue::queue(args, setup)),
        Command::Notify { what } => small()?.block_on(notify::notify(what, setup)),
        Command::QueueDaemon(QueueDaemon::Run { detached }) => {
            with_agents(setup, queue_daemon::run(detached, setup))
        }
        Command::QueueDaemon(QueueDaemon::Status) => small()?.block_on(queue_daemon::status(setup)),
        Command::QueueDaemon(args) => {
            if let QueueDaemon::Start | QueueDaemon::Restart(_) = args {
                small()?.block_on(setup.must_be_initialised())?;
            }
            queue_daemon::control(args, setup)
        }
        Command::Logs(args) => small()?.block_on(logs::logs(args, setup)),
        Command::Stop(args) => small()?.block_on(stop::stop(args, setup)),
        Command::Init(args) => with_agents(setup, init::init(args, setup)),
        Command::Start(args) => with_agents(setup, start::start(args, setup)),
        Command::Continue(args) => with_agents(setup, r#continue::r#continue(args, setup)),
        Command::Destroy(args) => with_agents(setup, destroy::destroy(args, setup)),
        Command::Prune(args) => with_agents(setup, prune::prune(args, setup)),
        Command::Schema(args) => schema::schema(&args, setup.screen()),
        #[cfg(feature = "testkit")]
        Command::Backend(args) => with_agents(setup, backend::backend(args, setup)),
        #[cfg(feature = "demo")]
        Command::Capacity(args) => with_agents(setup, capacity::capacity(args, setup)),
        #[cfg(feature = "demo")]
        Command::Demo(args) => with_agents(setup, demo::demo(args, setup)),
    }
}

fn with_agents(
    setup: &Setup,
    command: impl Future<Output = Result<(), CliError>>,
) -> Result<(), CliError> {
    built(runtime::Builder::new_multi_thread().enable_all().build())?.block_on(async {
        let ended = Box::pin(command).await;
        setup.close().await;
        ended
    })
}

/// For commands that look and end, and wait for nothing but what they look at: that happens in this
/// thread, since nobody else is there to go on meanwhile.
fn looking(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    small()?.block_on(kugetsu_queue::in_this_thread(command))
}

fn small() -> Result<Runtime, CliError> {
    built(runtime::Builder::new_current_thread().enable_all().build())
}

fn built(runtime: std::io::Result<Runtime>) -> Result<Runtime, CliError> {
    runtime.map_err(|error| CliError::io("start the runtime", &error))
}
