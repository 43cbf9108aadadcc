use kugetsu_testkit::model::ScriptedModel;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::fmt::Write;

/// An agent without abilities: it asks the model and pretends to carry out the calls.
pub(crate) struct Caller {
    client: Client,
    url: String,
    session: String,
    pub(crate) messages: Vec<Value>,
}

/// One answer of the model.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Id, name and arguments.
    pub(crate) calls: Vec<(String, String, String)>,
    pub(crate) finish: Option<String>,
    pub(crate) usage: Value,
    pub(crate) chunks: usize,
    pub(crate) done: bool,
}

impl Caller {
    pub(crate) fn new(model: &ScriptedModel, session: &str, prompt: &str) -> Self {
        let mut caller = Self {
            client: Client::new(),
            url: format!("{}/chat/completions", model.base_url()),
            session: session.to_owned(),
            messages: vec![json!({"role": "system", "content": "You are an agent."})],
        };
        caller.say(prompt);
        caller
    }

    pub(crate) fn say(&mut self, prompt: &str) {
        self.messages.push(json!({"role": "user", "content": prompt}));
    }

    pub(crate) async fn send(&self, stream: bool) -> reqwest::Result<Response> {
        self.client
            .post(&self.url)
            .header("x-session-affinity", &self.session)
            .json(&json!({"model": "model", "stream": stream, "messages": self.messages}))
            .send()
            .await
    }

    pub(crate) async fn ask(&self) -> Heard {
        let response = self.send(true).await.unwrap();
        assert_eq!(response.status(), 200);
        Heard::read(&response.text().await.unwrap())
    }

    /// Asks until the model no longer calls a tool.
    pub(crate) async fn turn(&mut self) -> Vec<Heard> {
        let mut answers = vec![];
        loop {
            let heard = self.ask().await;
            let calls: Vec<Value> = heard
                .calls
                .iter()
                .map(|(id, name, arguments)| {
                    json!({"id": id, "type": "function",
                           "function": {"name": name, "arguments": arguments}})
                })
                .collect();
            let is_last = calls.is_empty();
            self.messages.push(
                json!({"role": "assistant", "content": heard.text, "tool_calls": calls.clone()}),
            );
            for call in calls {
                self.messages.push(
                    json!({"role": "tool", "tool_call_id": call["id"], "content": "Carried out."}),
                );
            }
            answers.push(heard);
            if is_last {
                return answers;
            }
        }
    }
}

impl Heard {
    pub(crate) fn read(events: &str) -> Self {
        let mut heard = Self::default();
        for data in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
            if data == "[DONE]" {
                heard.done = true;
                continue;
            }
            heard.chunks += 1;
            let chunk: Value = serde_json::from_str(data).unwrap();
            if let Some(usage) = chunk.get("usage") {
                heard.usage = usage.clone();
            }
            let choice = &chunk["choices"][0];
            let delta = &choice["delta"];
            heard.text += delta["content"].as_str().unwrap_or_default();
            heard.reasoning += delta["reasoning_content"].as_str().unwrap_or_default();
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let word = |value: &Value| value.as_str().unwrap().to_owned();
                let function = &call["function"];
                heard.calls.push((
                    word(&call["id"]),
                    word(&function["name"]),
                    word(&function["arguments"]),
                ));
            }
            heard.finish = choice["finish_reason"].as_str().map(str::to_owned).or(heard.finish);
        }
        heard
    }

    /// One line: the text, the calls and the finish reason.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        if !self.text.is_empty() {
            write!(line, "{:?} ", self.text).unwrap();
        }
        for (_, name, arguments) in &self.calls {
            write!(line, "{name}{arguments} ").unwrap();
        }
        line + self.finish.as_deref().unwrap_or("-")
    }
}

/// What a whole turn looks like, one line for each answer.
pub(crate) async fn turn(prompt: &str) -> String {
    let model = ScriptedModel::start().await.unwrap();
    let answers = Caller::new(&model, "ses_a", prompt).turn().await;
    answers.iter().map(Heard::line).collect::<Vec<_>>().join("\n")
}

pub(crate) async fn check(prompt: &str, expected: &[&str]) {
    assert_eq!(turn(prompt).await, expected.join("\n"), "the turn of {prompt:?}");
}
