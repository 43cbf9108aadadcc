use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{
    AgentEvent, Clock, Cursor, Due, Event, EventLog, Expected, Happening, Moment, Request,
    Revision, Role, StoreError, Task, TaskId, TaskQuery, TaskStore,
};
use kugetsu_testkit::fake::ManualClock;
use kugetsu_testkit::suite::{TaskStoreFixture, tasks};

use super::{assert_each_is_noticed, assert_sound, faults};

#[derive(Debug, Clone)]
struct Faulty {
    fault: &'static str,
    inner: MemoryStore,
}

#[async_trait]
impl TaskStoreFixture for Faulty {
    async fn open(&self) -> Arc<dyn TaskStore> {
        let mut store = self.clone();
        if self.fault == "forgets when it is closed" {
            store.inner = MemoryStore::new();
        }
        if self.fault == "tells of its own making" {
            let now = ManualClock::new().moment();
            let task = Task::new(TaskId::of_key("made"), Request::pm("Begin."), now);
            store.inner.append(&[task.enqueued(now)]).await.unwrap();
        }
        Arc::new(store)
    }
}

impl Faulty {
    async fn open_tasks(&self) -> Result<Vec<Task>, StoreError> {
        self.inner.list(&TaskQuery::open()).await
    }

    fn firsts(tasks: Vec<Task>, lane: fn(&Task) -> String) -> Vec<Task> {
        let mut lanes = HashSet::new();
        tasks.into_iter().filter(|task| lanes.insert(lane(task))).collect()
    }
}

fn reached(task: &Task, now: Moment) -> bool {
    task.due().is_some_and(|due| due.reached(now))
}

fn by_urgency(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by_key(|task| std::cmp::Reverse(task.priority));
    tasks
}

#[async_trait]
impl EventLog for Faulty {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        let mut events = events.to_vec();
        match self.fault {
            "turns events around" => events.reverse(),
            "shortens what is told" => {
                for event in &mut events {
                    if let Happening::Agent(AgentEvent::Message { text }) = &mut event.what {
                        *text = text.chars().take(1000).collect();
                    }
                }
            }
            "drops what it does not know" => {
                events.retain(|event| !matches!(event.what, Happening::Unknown(_)));
            }
            "does not know where the log ends" if events.is_empty() => return Ok(Cursor(0)),
            _ => {}
        }
        self.inner.append(&events).await
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        let mut read = self.inner.read(after, limit).await?;
        match self.fault {
            "reads the cursor's own event again" => {
                read = self.inner.read(Cursor(after.0.saturating_sub(1)), limit).await?;
            }
            "numbers what it reads" => {
                for (number, (cursor, _)) in (1..).zip(&mut read) {
                    *cursor = Cursor(number);
                }
            }
            "reads one too many" => read = self.inner.read(after, limit.saturating_add(1)).await?,
            "loses every fifth event" => read.retain(|(cursor, _)| cursor.0 % 5 != 0),
            _ => {}
        }
        Ok(read)
    }
}

#[async_trait]
impl TaskStore for Faulty {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let stored = self.inner.load(task.id).await?;
        let mut task = task.clone();
        let mut expected = expected;
        let mut events = events;
        match self.fault {
            "does not compare revisions" => {
                if let (Some(stored), Expected::At(_)) = (stored, expected) {
                    expected = Expected::At(stored.revision);
                }
            }
            "writes over what is there" => {
                if let (Some(stored), Expected::Absent) = (stored, expected) {
                    expected = Expected::At(stored.revision);
                }
            }
            "compares and then writes" => {
                tokio::task::yield_now().await;
                if stored.as_ref().map(|task| Expected::At(task.revision)) == Some(expected) {
                    let now = self.inner.load(task.id).await?.unwrap();
                    expected = Expected::At(now.revision);
                }
            }
            "makes what is not there" if stored.is_none() => expected = Expected::Absent,
            "tells before it writes" => {
                self.inner.append(events).await?;
                events = &[];
            }
            "writes before it tells" => {
                self.inner.commit(&task, expected, &[]).await?;
                tokio::task::yield_now().await;
                self.inner.append(events).await?;
                return Ok(());
            }
            "tells the first event only" => events = &events[..events.len().min(1)],
            "trims messages" => {
                if let Request::Dev { message, .. } | Request::Pm { message, .. } =
                    &mut task.request
                {
                    *message = message.trim().to_owned();
                }
            }
            "keeps no attempts" => task.attempts.clear(),
            _ => {}
        }
        self.inner.commit(&task, expected, events).await
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        let mut found = self.inner.load(id).await?;
        if found.is_none() && self.fault == "always finds something" {
            found = self.inner.list(&TaskQuery::all()).await?.pop();
        }
        Ok(found.filter(|task| self.fault != "hides settled tasks" || !task.is_settled()))
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        let mut all = self.open_tasks().await?;
        all.retain(|task| task.request.role() == role || self.fault == "mixes roles");
        let lane = Task::lane;
        let due = match self.fault {
            "ignores lanes" => by_urgency(all).into_iter().filter(|t| reached(t, now)).collect(),
            "lets later messages overtake" => {
                Self::firsts(all.into_iter().filter(|t| reached(t, now)).collect(), lane)
            }
            "folds lanes" => {
                let firsts = Self::firsts(all, |task| task.lane().to_lowercase().replace('-', "/"));
                firsts.into_iter().filter(|t| reached(t, now)).collect()
            }
            "ignores urgency" => {
                Self::firsts(all, lane).into_iter().filter(|t| reached(t, now)).collect()
            }
            "orders by id" => {
                let mut due = self.inner.due(now, role, u32::MAX).await?;
                due.sort_by_key(|task| (std::cmp::Reverse(task.priority), task.id));
                due
            }
            "counts before it looks" => by_urgency(Self::firsts(all, lane))
                .into_iter()
                .take(limit as usize)
                .filter(|t| reached(t, now))
                .collect(),
            "mixes roles" => {
                Self::firsts(all, lane).into_iter().filter(|t| reached(t, now)).collect()
            }
            "gives what is settled" => self.inner.list(&TaskQuery::all()).await?,
            "gives what is leased" => Self::firsts(all, lane),
            "does not notice a reboot" => Self::firsts(all, lane)
                .into_iter()
                .filter(|t| t.due().is_some_and(|due| due.tick.millis <= now.tick.millis))
                .collect(),
            "is late" => {
                let mut now = now;
                now.tick.millis -= 1;
                self.inner.due(now, role, u32::MAX).await?
            }
            _ => self.inner.due(now, role, u32::MAX).await?,
        };
        Ok(due.into_iter().take(limit as usize).collect())
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        let next = self.inner.next_due(now, role).await?;
        Ok(next.filter(|due| self.fault != "forgets what is delayed" || due.reached(now)))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        let mut query = query.clone();
        let mut listed = match self.fault {
            "counts before it looks" => {
                let all = TaskQuery::all().with_limit(query.limit.unwrap_or(u32::MAX));
                self.inner.list(&all).await?
            }
            "lists every issue" => {
                query.issue = None;
                self.inner.list(&query).await?
            }
            _ => self.inner.list(&query).await?,
        };
        listed.retain(|task| query.matches(task));
        match self.fault {
            "orders by id" => listed.sort_by_key(|task| task.id),
            "lists what was changed last" => listed.sort_by_key(|task| task.revision),
            _ => {}
        }
        Ok(listed)
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        let mut expected = expected;
        match self.fault {
            "removes any revision" => {
                if let Some(stored) = self.inner.load(id).await? {
                    expected = stored.revision;
                }
            }
            "removes nothing" => return Ok(()),
            _ => {}
        }
        self.inner.remove(id, expected).await
    }
}

faults! {
    a_task_committed_is_there_after_reopening {
        "forgets when it is closed" => "left: None",
    }
    a_task_comes_back_as_it_was {
        "trims messages" => "came back as Task {",
        "keeps no attempts" => "came back as Task {",
    }
    a_task_that_was_never_committed_is_not_there {
        "always finds something" => "left: Some(Task {",
    }
    a_new_task_is_refused_where_one_is {
        "writes over what is there" => "instead of a conflict there was Ok(())",
    }
    a_change_of_a_task_that_is_not_there_is_refused {
        "makes what is not there" => "instead of a conflict there was Ok(())",
    }
    a_change_of_an_outdated_revision_is_refused {
        "does not compare revisions" => "instead of a conflict there was Ok(())",
    }
    of_many_changes_at_once_one_is_made {
        "does not compare revisions" => "as many have claimed one task at once",
        "compares and then writes" => "as many have claimed one task at once",
    }
    of_many_new_tasks_with_one_id_at_once_one_is_made {
        "writes over what is there" => "as many were made",
    }
    many_tasks_committed_at_once_are_all_there {
        "loses every fifth event" => "left: 52",
    }
    a_task_and_its_events_are_committed_together {
        "tells the first event only" => "left: [Event {",
    }
    a_refused_commit_tells_nothing {
        "tells before it writes" => "left: [(Cursor(1), Event {",
    }
    a_commit_that_nobody_waits_for_is_whole_or_not_there {
        "writes before it tells" => "half of a commit is there (the task's half: true)",
    }
    a_settled_task_stays_readable {
        "hides settled tasks" => "left: None",
    }
    an_empty_log_has_nothing_to_read {
        "tells of its own making" => "right: []",
    }
    events_come_back_in_the_order_in_which_they_were_appended {
        "turns events around" => "left: [Event {",
    }
    an_event_comes_back_as_it_was {
        "shortens what is told" => "came back as Event {",
    }
    an_event_of_an_unknown_kind_comes_back_as_it_was {
        "drops what it does not know" => "what: Unknown(",
    }
    a_cursor_stays_valid_after_reopening {
        "forgets when it is closed" => "3 is not behind 3",
        "numbers what it reads" => "right: Some(Cursor(6))",
    }
    appending_nothing_tells_where_the_log_ends {
        "does not know where the log ends" => "left: Cursor(0)",
    }
    reading_goes_on_behind_any_cursor {
        "reads the cursor's own event again" => "behind 1, at most 1",
        "reads one too many" => "behind 1, at most 1",
    }
    a_reader_who_follows_misses_nothing {
        "reads the cursor's own event again" => " came after ",
        "loses every fifth event" => "only 160 of 200 events were seen",
    }
    a_pending_task_is_due_from_its_time_on {
        "gives what is leased" => "right: []",
        "is late" => "left: []",
    }
    a_leased_task_is_due_when_its_lease_has_lapsed {
        "gives what is leased" => "right: []",
    }
    a_settled_task_is_never_due {
        "gives what is settled" => "right: []",
    }
    the_pm_and_dev_agents_have_tasks_of_their_own {
        "mixes roles" => "request: Pm {",
    }
    the_next_task_is_due_when_it_says {
        "forgets what is delayed" => "left: None",
    }
    a_reboot_ends_every_lease {
        "does not notice a reboot" => "left: []",
    }
    after_a_reboot_a_delay_ends_by_the_wall_clock {
        "does not notice a reboot" => "right: []",
    }
    of_one_issue_only_the_first_open_task_is_due {
        "ignores lanes" => "message: \"second\"",
    }
    the_first_task_of_an_issue_is_not_overtaken {
        "lets later messages overtake" => "a later message went first",
    }
    issues_that_look_alike_have_lanes_of_their_own {
        "folds lanes" => "name: \"b-c\"",
    }
    the_most_urgent_task_is_due_first_and_then_the_oldest {
        "ignores urgency" => "left: [Task {",
        "orders by id" => "left: [Task {",
    }
    no_more_tasks_are_due_than_were_asked_for {
        "counts before it looks" => "at most 1",
    }
    a_store_that_was_opened_before_sees_what_is_due_now {
        "forgets when it is closed" => "left: []",
    }
    tasks_are_listed_in_the_order_of_their_first_commit {
        "orders by id" => "left: [Task {",
        "lists what was changed last" => "left: [Task {",
    }
    a_query_lists_what_it_means_and_no_more {
        "lists every issue" => "TaskQuery { issue: Some(",
    }
    a_list_ends_at_its_limit {
        "counts before it looks" => "left: [Task {",
    }
    a_task_that_was_removed_is_gone_and_its_events_stay {
        "removes nothing" => "left: Some(Task {",
    }
    a_removal_of_an_outdated_revision_is_refused {
        "removes any revision" => "instead of a conflict there was Ok(())",
    }
}

/// On one thread, where whoever yields lets all others go first.
#[tokio::test]
async fn a_faulty_task_store_is_noticed() {
    let faulty = async |fault| {
        Box::new(Faulty { fault, inner: MemoryStore::new() }) as Box<dyn TaskStoreFixture>
    };
    assert_sound(tasks::PROMISES, &faulty).await;
    assert_each_is_noticed(tasks::PROMISES, FAULTS, &faulty).await;
}
