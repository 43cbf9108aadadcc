//! What an agent may do, in opencode's own terms: every class is allowed or denied, and none asks.

use kugetsu_core::agent::Role;
use serde::{Deserialize, Serialize};

/// What a rule says.
///
/// Exhaustive: the third that opencode knows, to ask, would wait for an answer that nobody gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Go ahead.
    Allow,
    /// No; the agent is told and goes on.
    Deny,
}

/// One permission rule of opencode. Of several that match, the last one holds.
///
/// Exhaustive: it is written as opencode reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The class, such as `bash` or `edit`; `*` is every class.
    pub permission: String,
    /// What it is about, such as a command line or a path, with `*` for any text.
    pub pattern: String,
    /// What it says.
    pub action: Verdict,
}

impl Rule {
    /// Allows.
    pub fn allow(permission: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self { permission: permission.into(), pattern: pattern.into(), action: Verdict::Allow }
    }

    /// Denies.
    pub fn deny(permission: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self { permission: permission.into(), pattern: pattern.into(), action: Verdict::Deny }
    }
}

/// The rules of each role. They come after the user's own, which keep their denials: what the user
/// has set to *ask* is allowed first, since nobody would be there to answer, and then these hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleBook {
    /// For agents that work on an issue.
    pub dev: Vec<Rule>,
    /// For agents that coordinate.
    pub pm: Vec<Rule>,
}

/// Classes in which opencode would wait for an answer of its own accord.
const WAITING: [&str; 5] =
    ["question", "plan_enter", "plan_exit", "doom_loop", "external_directory"];

/// What an agent that coordinates may use: what only reads, and its own list of things to do.
const READING: [&str; 8] =
    ["read", "glob", "grep", "list", "todoread", "todowrite", "webfetch", "websearch"];

impl Default for RuleBook {
    /// No questions, no modes, nothing outside of the worktree. A PM may only read: it edits
    /// nothing, runs nothing, has no sub-agents, and none of the user's own tool servers.
    fn default() -> Self {
        let quiet: Vec<Rule> = WAITING.iter().map(|class| Rule::deny(*class, "*")).collect();
        let mut pm = vec![Rule::deny("*", "*")];
        pm.extend(READING.map(|class| Rule::allow(class, "*")));
        Self { dev: quiet, pm }
    }
}

impl RuleBook {
    /// A PM may also run these commands, in [our own shell](crate::shell) and in no other.
    pub(crate) fn with_commands<'a>(mut self, commands: impl IntoIterator<Item = &'a str>) -> Self {
        let named = |command: &str| {
            [Rule::allow("bash", command), Rule::allow("bash", format!("{command} *"))]
        };
        self.pm.extend(commands.into_iter().flat_map(named));
        self
    }

    /// A PM may also use the tools of this server.
    pub(crate) fn with_tools(mut self, server: &str) -> Self {
        self.pm.push(Rule::allow(format!("{server}_*"), "*"));
        self
    }

    /// The rules of a role.
    pub(crate) fn of(&self, role: Role) -> &[Rule] {
        match role {
            Role::Pm => &self.pm,
            _ => &self.dev,
        }
    }
}

/// A rule as opencode tells it, which may also say `ask`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ToldRule {
    permission: String,
    pattern: String,
    action: String,
}

/// The whole of what a session is given: what opencode would apply anyway, with every *ask*
/// decided, then the role's rules, and then the two places outside of the worktree that opencode
/// itself needs. A role that begins by denying everything allows nothing that was denied before.
pub(crate) fn decided(told: &[ToldRule], role: &[Rule], own_places: &[String]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![Rule::allow("*", "*")];
    rules.extend(told.iter().map(|rule| {
        let action = match rule.action.as_str() {
            "allow" => Verdict::Allow,
            "ask" if !is_guarded(rule) => Verdict::Allow,
            _ => Verdict::Deny,
        };
        Rule { permission: rule.permission.clone(), pattern: rule.pattern.clone(), action }
    }));
    rules.extend_from_slice(role);
    if role.first() == Some(&Rule::deny("*", "*")) {
        let denied = rules[1..=told.len()].iter().filter(|rule| rule.action == Verdict::Deny);
        let denied: Vec<Rule> = denied.cloned().collect();
        rules.extend(denied);
    }
    rules.extend(
        own_places.iter().map(|place| Rule::allow("external_directory", format!("{place}/*"))),
    );
    rules
}

/// What the rules say to all of this together. What no rule speaks of is denied.
pub(crate) fn verdict(rules: &[Rule], class: &str, patterns: &[String]) -> Verdict {
    let allowed = |pattern: &str| {
        let last = rules
            .iter()
            .rev()
            .find(|rule| matches(&rule.permission, class) && matches(&rule.pattern, pattern));
        last.is_some_and(|rule| rule.action == Verdict::Allow)
    };
    let all = !patterns.is_empty() && patterns.iter().all(|pattern| allowed(pattern));
    if all { Verdict::Allow } else { Verdict::Deny }
}

/// What rules that a session has come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Every class is allowed or denied, and a PM changes nothing.
    Right,
    /// They are no rules.
    Unreadable,
    /// This class is left to be asked.
    Asks(String),
    /// A PM may do this.
    Allows(String),
}

/// What changes something.
const CHANGING: [&str; 3] = ["edit", "bash", "task"];

/// What the rules, a JSON text, come to for a role. Of classes in which opencode does not wait of its
/// own accord it is enough that the rules do not ask.
pub(crate) fn stored(text: &str, role: Role) -> Stored {
    let Ok(rules) = serde_json::from_str::<Vec<ToldRule>>(text) else { return Stored::Unreadable };
    if rules.iter().any(|rule| !["allow", "deny", "ask"].contains(&&*rule.action)) {
        return Stored::Unreadable;
    }
    let last = |class: &str| {
        let of = |rule: &&ToldRule| matches(&rule.permission, class) && matches(&rule.pattern, "*");
        rules.iter().rev().find(of).map(|rule| rule.action.as_str())
    };
    if let Some(class) = WAITING.iter().find(|class| matches!(last(class), None | Some("ask"))) {
        return Stored::Asks((*class).into());
    }
    for (index, ask) in rules.iter().enumerate().filter(|(_, rule)| rule.action == "ask") {
        let is_over = |rule: &ToldRule| {
            matches(&rule.permission, &ask.permission) && matches(&rule.pattern, &ask.pattern)
        };
        if !rules[index + 1..].iter().any(is_over) {
            return Stored::Asks(ask.permission.clone());
        }
    }
    let allowed = CHANGING.iter().find(|class| last(class) != Some("deny"));
    match allowed.filter(|_| role == Role::Pm) {
        Some(class) => Stored::Allows((*class).into()),
        None => Stored::Right,
    }
}

/// Whether the text is as the pattern has it: `*` is any text, `?` any character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether an *ask* is there to protect something rather than to keep somebody informed.
fn is_guarded(rule: &ToldRule) -> bool {
    WAITING.contains(&rule.permission.as_str())
        || (rule.permission == "read" && rule.pattern != "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(permission: &str, pattern: &str, action: &str) -> ToldRule {
        ToldRule { permission: permission.into(), pattern: pattern.into(), action: action.into() }
    }

    #[test]
    fn rules_that_are_stored_are_right_if_nothing_in_them_asks() {
        let quiet = RuleBook::default();
        let text = |rules: &[Rule]| serde_json::to_string(rules).unwrap();
        let dev = text(&decided(&[told("*", "*", "ask")], &quiet.dev, &["/t".into()]));
        let pm = text(&decided(&[told("*", "*", "allow")], &quiet.pm, &["/t".into()]));
        assert_eq!(stored(&dev, Role::Dev), Stored::Right);
        assert_eq!(stored(&pm, Role::Pm), Stored::Right);
        assert_eq!(stored(&dev, Role::Pm), Stored::Allows("edit".into()));
        for (text, is) in [
            ("{}", Stored::Unreadable),
            ("nonsense", Stored::Unreadable),
            (r#"[{"permission":"*","pattern":"*","action":"perhaps"}]"#, Stored::Unreadable),
            ("[]", Stored::Asks("question".into())),
            (
                r#"[{"permission":"*","pattern":"*","action":"ask"}]"#,
                Stored::Asks("question".into()),
            ),
            (
                r#"[{"permission":"*","pattern":"*","action":"deny"},
                    {"permission":"bash","pattern":"git *","action":"ask"}]"#,
                Stored::Asks("bash".into()),
            ),
            (
                r#"[{"permission":"bash","pattern":"git *","action":"ask"},
                    {"permission":"*","pattern":"*","action":"allow"}]"#,
                Stored::Right,
            ),
        ] {
            assert_eq!(stored(text, Role::Dev), is, "{text}");
        }
    }

    #[test]
    fn every_ask_is_decided_and_the_users_denials_stay() {
        let told = [
            told("*", "*", "ask"),
            told("bash", "git push*", "deny"),
            told("read", "*.env", "ask"),
            told("external_directory", "*", "ask"),
            told("bash", "x", "something new"),
        ];
        let rules = decided(&told, &[Rule::deny("question", "*")], &["/t".into()]);
        assert_eq!(
            rules,
            [
                Rule::allow("*", "*"),
                Rule::allow("*", "*"),
                Rule::deny("bash", "git push*"),
                Rule::deny("read", "*.env"),
                Rule::deny("external_directory", "*"),
                Rule::deny("bash", "x"),
                Rule::deny("question", "*"),
                Rule::allow("external_directory", "/t/*"),
            ]
        );
    }

    #[test]
    fn the_last_rule_that_matches_holds_for_each_pattern() {
        let rules = [
            Rule::allow("*", "*"),
            Rule::deny("bash", "git push*"),
            Rule::allow("bash", "git push origin ?"),
        ];
        for (class, patterns, allowed) in [
            ("bash", &["git status"][..], true),
            ("bash", &["git push --force"], false),
            ("bash", &["git status", "git push"], false),
            ("bash", &["git push origin x"], true),
            ("bash", &["git push origin xy"], false),
            ("edit", &["git push"], true),
            ("edit", &[], false),
        ] {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let verdict = verdict(&rules, class, &patterns);
            assert_eq!(verdict == Verdict::Allow, allowed, "{class} {patterns:?}");
        }
        assert_eq!(verdict(&[], "bash", &["x".into()]), Verdict::Deny);
    }

    #[test]
    fn a_pm_may_use_what_is_named_and_nothing_else() {
        let book = RuleBook::default().with_tools("kugetsu").with_commands(["kugetsu", "ls"]);
        let own =
            [told("*", "*", "allow"), told("webfetch", "*", "deny"), told("read", "*.env", "ask")];
        let rules = decided(&own, &book.pm, &["/t".into()]);
        for (class, pattern, allowed) in [
            ("read", "README.md", true),
            ("read", "x.env", false),
            ("webfetch", "https://example.com", false),
            ("websearch", "x", true),
            ("kugetsu_start", "*", true),
            ("files_write", "*", false),
            ("bash", "kugetsu list", true),
            ("bash", "ls", true),
            ("bash", "lsof", false),
            ("bash", "touch f", false),
            ("edit", "f", false),
            ("task", "general", false),
            ("question", "*", false),
            ("external_directory", "/etc/*", false),
            ("external_directory", "/t/x", true),
        ] {
            let said = verdict(&rules, class, &[pattern.to_owned()]) == Verdict::Allow;
            assert_eq!(said, allowed, "{class} {pattern}");
        }
        let bare = decided(&own, &RuleBook::default().pm, &[]);
        assert_eq!(verdict(&bare, "bash", &["kugetsu list".to_owned()]), Verdict::Deny);
    }
}
