//! What an [`AgentRunner`] promises.

mod conversations;
mod deed;
mod ends;
mod sessions;
mod told;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::AgentRunner;

use super::promise::promises;

pub use deed::Deed;

/// One agent, with nothing said to it yet, and what a test has to know of it.
///
/// The suite tells the agent what to do in messages, and never waits for time to pass: it waits for
/// the agent to be [at work](Self::until_at_work), and opens gates.
#[async_trait]
pub trait AgentRunnerFixture: Send + Sync + 'static {
    /// The runner. Every call gives one on the same agent sessions, as another process would have
    /// it; a runner whose sessions live in one process only gives the same one.
    async fn runner(&self) -> Arc<dyn AgentRunner>;

    /// Makes a directory in which an agent may work: another one at each call, empty but for what
    /// the agent needs, absolute and without symbolic links in its path.
    async fn directory(&self) -> PathBuf;

    /// What to tell the agent so that it does this, in one turn. Unless the agent's model is
    /// another than the [scripted](crate::model) one, the script that a deed
    /// [is](Deed::script) will do.
    fn message(&self, deed: &Deed) -> String {
        deed.script()
    }

    /// Opens a gate: whoever waits at it goes on, now and from now on.
    async fn open(&self, gate: &str);

    /// The messages that have reached the agent's model so far, as they arrived there.
    async fn heard(&self) -> Vec<String>;

    /// Returns once so many turns are being worked on, no more and no fewer. Without a limit of
    /// its own: the suite has one.
    async fn until_at_work(&self, turns: usize);

    /// Whether the runner has [sessions](AgentRunner::sessions).
    fn has_sessions(&self) -> bool {
        true
    }
}

promises! {
    /// Makes a test of each promise of [`AgentRunner`](kugetsu_core::AgentRunner). The argument is
    /// an [`AgentRunnerFixture`](crate::suite::AgentRunnerFixture).
    macro agent_runner_conformance of agents for dyn AgentRunnerFixture ($);

    from turns {
        the_agent_could_run_now,
        a_turn_begins_with_its_session_and_ends_with_one_finish,
        what_the_agent_says_arrives,
        the_agent_works_in_the_directory_it_was_given,
        a_message_reaches_the_agent_byte_for_byte,
        a_message_of_a_megabyte_reaches_the_agent,
        a_message_that_cannot_be_sent_is_refused,
        a_directory_that_cannot_be_worked_in_is_refused,
        a_failure_for_good_is_told_as_such,
        a_rate_limit_is_told_as_one_of_its_provider,
        an_empty_turn_is_a_failure,
        what_nobody_may_grant_is_refused_and_told,
        two_runs_at_once_do_not_mix,
    }
    from ends {
        an_agent_that_is_stopped_politely_can_be_resumed,
        an_agent_that_is_stopped_by_force_can_be_resumed,
        stopping_needs_nobody_who_reads,
        stopping_twice_is_stopping_once,
        stopping_what_has_ended_is_done_already,
        a_run_that_is_dropped_is_stopped,
        a_run_that_is_dropped_at_once_is_stopped,
        the_end_of_one_run_is_not_the_end_of_another,
        a_slot_is_held_as_long_as_its_run,
        an_answer_that_nobody_takes_is_refused,
    }
    from conversations {
        a_fresh_conversation_knows_nothing,
        a_session_that_is_resumed_remembers,
        a_session_is_resumed_after_reopening,
        a_session_is_resumed_in_its_own_directory_only,
        a_session_that_is_not_there_is_refused,
        a_fork_knows_what_its_origin_knows,
        a_fork_leaves_its_origin_as_it_was,
        sixteen_forks_at_once_are_sixteen_sessions,
    }
    from sessions {
        there_are_sessions_where_there_should_be,
        a_session_made_is_described,
        a_session_made_is_resumed_in_its_directory,
        a_session_made_knows_its_briefing,
        a_copy_of_a_session_knows_what_it_knows,
        sixteen_copies_at_once_are_sixteen_sessions,
        a_session_deleted_is_gone,
        deleting_what_is_not_there_is_done_already,
    }
}
