use kugetsu_core::ids::InvalidName;
use kugetsu_core::{AgentSessionId, SessionId, TaskId, Timestamp, WorkerId};
use kugetsu_testkit::fake::SeededChance;

#[test]
fn ids_made_later_sort_later() {
    let chance = SeededChance::new(1);
    let ids: Vec<TaskId> =
        (0..100).map(|number| TaskId::new(Timestamp::from_millis(number), &chance)).collect();
    assert!(ids.is_sorted());
    for id in ids {
        assert_eq!(id.to_string().parse::<TaskId>().unwrap(), id);
        assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
    }
    assert!("no uuid".parse::<SessionId>().is_err());
}

#[test]
fn a_name_is_visible_and_no_option() {
    let long = "x".repeat(201);
    for bad in ["", " ", "-x", "a b", "a\nb", "é", "a\0", "\u{202e}", &long] {
        let refused: InvalidName = WorkerId::new(bad).unwrap_err();
        assert!(refused.to_string().chars().count() < 300, "{refused}");
        assert!(serde_json::from_value::<AgentSessionId>(bad.into()).is_err());
    }
    for good in ["ses_1", "host-4711-0", "$(x)'\"", &long[1..]] {
        assert_eq!(WorkerId::new(good).unwrap().as_str(), good);
    }
}
