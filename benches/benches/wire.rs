//! Reading what opencode tells, beside reading the same bytes into a JSON value.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kugetsu_opencode::count_news;
use serde_json::{Value, json};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = reading
}
criterion_main!(benches);

fn reading(criterion: &mut Criterion) {
    // What opencode 1.18.33 told of one turn.
    let turn = include_str!("../../kugetsu-opencode/tests/it/wire/tool-and-text.events.jsonl");
    for (name, lines) in [
        ("a turn with a tool", turn.repeat(20)),
        ("a text in 2000 pieces", (0..2000).map(piece).collect()),
        ("20 files written", (0..20).map(file).collect()),
    ] {
        let mut group = criterion.benchmark_group(format!("wire: {name}"));
        group.throughput(Throughput::Bytes(lines.len() as u64));
        group.bench_function("yardstick: serde_json to a value", |bench| {
            let read = |line| serde_json::from_str::<Value>(line).unwrap();
            bench.iter(|| lines.lines().map(read).filter(Value::is_object).count());
        });
        group.bench_function("opencode's events", |bench| bench.iter(|| count_news(&lines)));
        group.finish();
    }
}

fn piece(number: usize) -> String {
    let told = json!({
        "directory": "/home/dev/wt",
        "project": "6f3c",
        "payload": { "id": format!("evt_{number}"), "type": "message.part.delta", "properties": {
            "sessionID": "ses_01", "messageID": "msg_01", "partID": "prt_01", "field": "text",
            "delta": "a few words ",
        } },
    });
    format!("{told}\n")
}

/// A tool call that has written a file of 20 KiB, which is told once more as a difference.
fn file(number: usize) -> String {
    let text = "    let answer = question.ask(\"what is it?\"); // and so on\n".repeat(340);
    let told = json!({
        "payload": { "id": format!("evt_{number}"), "type": "message.part.updated", "properties": {
            "sessionID": "ses_01",
            "part": {
                "id": format!("prt_{number}"), "messageID": "msg_01", "sessionID": "ses_01",
                "type": "tool", "tool": "write", "callID": format!("call_{number}"),
                "state": {
                    "status": "completed", "title": "src/main.rs", "output": "",
                    "input": { "filePath": "/home/dev/wt/src/main.rs", "content": text },
                    "metadata": { "diff": text, "exists": true },
                },
            },
        } },
    });
    format!("{told}\n")
}
