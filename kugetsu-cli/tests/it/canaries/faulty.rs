//! Env files that are not right: no agent gets anything of them, and all of it stays secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kugetsu_queue::mask::MASKED;

use super::secrets::{Search, Secret, planted};
use super::{INHERITED, issue, plant};
use crate::desk::{Desk, initialised};

/// Spoils every env file, each in another way.
fn spoil(desk: &Desk, secrets: &[Secret]) {
    let file = |name: &str| desk.kugetsu(&format!("env/{name}.env"));
    let loose = fs::Permissions::from_mode(0o644);
    fs::set_permissions(file("default"), loose).unwrap();
    let broken = fs::read_to_string(file("pm-agent")).unwrap();
    let [first, second] = [&secrets[4], &secrets[9]];
    let broken = broken
        .replacen(&format!("export {}=", first.name), &format!("{} = ", first.name), 1)
        .replacen(&format!("export {}=", second.name), "", 1);
    fs::write(file("pm-agent"), format!("nothing is set here\n{broken}if true; then\n")).unwrap();
    // Nobody can read it, root included.
    fs::create_dir(file("unreadable")).unwrap();
    fs::write(file("odd"), b"\xff\xfe is no text\n\xff").unwrap();
    fs::write(desk.kugetsu("config.toml"), "nonsense = [\n").unwrap();
}

#[test]
fn what_is_wrong_with_env_files_takes_the_mask_off_nothing() {
    let secrets = planted();
    let Secret { name, value } = &secrets[INHERITED];
    let desk = initialised().with(name, value);
    plant(&desk, &secrets);
    let mut ids = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        let said = secret.said().into_iter().map(|(_, text)| text).chain(secret.encoded());
        let message = said.collect::<Vec<_>>().join(" ; ");
        let id = desk.run(&["queue", "enqueue", &issue(number + 1), "--", &message]).done().out;
        ids.push(id.trim().to_owned());
    }
    spoil(&desk, &secrets);
    let mut search = Search::of(&secrets);
    let mut shown = String::new();
    let mut show = |words: &[&str]| {
        let ran = desk.run(words);
        search.look(&words.join(" "), format!("{}{}", ran.out, ran.err).as_bytes());
        shown += &ran.shown();
    };
    for words in
        [&["doctor"][..], &["env", "show"], &["env", "list"], &["status"], &["config", "list"]]
    {
        show(words);
        show(&[words, &["--json"]].concat());
    }
    show(&["delegate", &secrets[0].value]);
    show(&["start", &secrets[1].value, &secrets[2].value, "--debug"]);
    fs::write(desk.kugetsu("config.toml"), "").unwrap();
    for (number, id) in ids.iter().enumerate() {
        show(&["queue", "show", id]);
        show(&["queue", "show", id, "--json"]);
        show(&["why", &issue(number + 1)]);
    }
    for words in [&["queue", "list"][..], &["watch", "--once"], &["notify", "list", "--all"]] {
        show(words);
        show(&[words, &["--json"]].concat());
    }
    show(&["start", &issue(1), &secrets[3].value, "--debug"]);
    assert_eq!(search.found, [""; 0]);
    let masked = shown.matches(MASKED).count();
    assert!(masked > 40 * 8, "{masked}");
    // Nothing of it has become an agent's.
    assert!(shown.contains("can be read by others (mode 644)"));
    assert!(shown.contains("pm-agent.env:1: no variable stands there"));
}
