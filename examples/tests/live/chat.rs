//! The chat with keys from a test, on a screen that the test can read.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream;
use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use tollgate_adapter_tests::Place;
use tollgate_examples::Chat;
use tollgate_types::Provider;

const SOON: Duration = Duration::from_secs(20);

/// What was drawn last.
struct Screen {
    drawing: Vec<u8>,
    shown: watch::Sender<String>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.drawing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let drawn = String::from_utf8(std::mem::take(&mut self.drawing)).unwrap();
        self.shown.send_replace(drawn);
        Ok(())
    }
}

/// A person at the chat.
struct Person {
    keys: mpsc::UnboundedSender<Event>,
    shown: watch::Receiver<String>,
}

impl Person {
    fn press(&self, code: KeyCode, modifiers: KeyModifiers) {
        self.keys.send(Event::Key(KeyEvent::new(code, modifiers))).unwrap();
    }

    fn control(&self, letter: char) {
        self.press(KeyCode::Char(letter), KeyModifiers::CONTROL);
    }

    fn type_line(&self, line: &str) {
        for letter in line.chars() {
            self.press(KeyCode::Char(letter), KeyModifiers::NONE);
        }
        self.press(KeyCode::Enter, KeyModifiers::NONE);
    }

    async fn sees(&mut self, text: &str) {
        let seen = self.shown.wait_for(|screen| screen.contains(text));
        let seen = tokio::time::timeout(SOON, seen).await.map(|seen| seen.map(drop));
        assert!(matches!(seen, Ok(Ok(()))), "{text:?} is not on: {:?}", *self.shown.borrow());
    }
}

/// Lets a person chat, and gives back what the chat came to.
async fn chat(
    provider: Arc<dyn Provider>,
    models: &[&str],
    person: impl AsyncFnOnce(&mut Person),
) -> Chat {
    let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
    let mut chat = Chat::new(provider, models[0].clone(), models);
    chat.instructions = Some("Be brief.".to_owned());
    let (keys, pressed) = mpsc::unbounded_channel();
    let (shown, seen) = watch::channel(String::new());
    let mut screen = Screen { drawing: Vec::new(), shown };
    let events = stream::unfold(pressed, async |mut pressed: mpsc::UnboundedReceiver<Event>| {
        Some((Ok(pressed.recv().await?), pressed))
    });
    let mut someone = Person { keys, shown: seen };
    let acts = async {
        person(&mut someone).await;
        someone.control('d');
    };
    let (ran, ()) = tokio::join!(chat.run(events, &mut screen, (80, 24)), acts);
    ran.unwrap();
    chat
}

#[tokio::test]
async fn an_answer_comes_with_its_cost_and_the_next_question_has_the_conversation() {
    let place = Place::with_budgets(vec![tollgate_adapter_tests::requests(5)]).await;
    for provider in [place.direct("openai").await, place.remote()] {
        let model = if provider.name() == "openai" { "mock-echo" } else { "openai/mock-echo" };
        let before = place.sent().len();
        let chat = chat(provider, &[model], async |person| {
            person.type_line("one two three");
            person.sees("5 in 3 out").await;
            person.sees("you: one two three").await;
            person.type_line("four");
            person.sees("14 in 4 out").await;
        })
        .await;
        assert_eq!(chat.bill().usage.output, 4);
        let second: serde_json::Value = serde_json::from_slice(&place.sent()[before + 1]).unwrap();
        let said: Vec<_> = second["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(said, ["Be brief.", "one two three", "one two three", "four"]);
    }
}

#[tokio::test]
async fn the_status_tells_model_cost_and_budget() {
    let place = Place::with_budgets(vec![tollgate_adapter_tests::requests(5)]).await;
    let models = ["openai/mock-echo", "anthropic/mock-echo"];
    chat(place.remote(), &models, async |person| {
        person.type_line("one");
        person.sees("$0.000005  4 requests left this day").await;
        person.press(KeyCode::Tab, KeyModifiers::NONE);
        person.sees("anthropic/mock-echo").await;
        person.type_line("two");
        person.sees("3 requests left").await;
    })
    .await;
    let paths: Vec<_> = place.mock.requests().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/chat/completions", "/v1/messages"]);
}

#[tokio::test]
async fn escape_and_control_c_stop_an_answer_at_the_vendor() {
    let stops: [fn(&Person); 2] =
        [|person| person.press(KeyCode::Esc, KeyModifiers::NONE), |person| person.control('c')];
    for stop in stops {
        let place = Place::start().await;
        chat(place.remote(), &["openai/mock-tokens=5000,delay=20"], async |person| {
            person.type_line("go on");
            person.sees("w2").await;
            person.sees("Esc stops").await;
            stop(person);
            person.sees("-- stopped").await;
            place.client_left().await;
            person.control('l');
            person.type_line("once more");
            person.sees("w0").await;
        })
        .await;
    }
}

#[tokio::test]
async fn an_error_is_shown_and_the_chat_goes_on() {
    let place = Place::start().await;
    chat(place.remote(), &["openai/mock-status=400", "openai/mock-echo"], async |person| {
        person.type_line("hello");
        person.sees("-- ").await;
        person.press(KeyCode::Tab, KeyModifiers::NONE);
        person.type_line("hello again");
        person.sees("2 out").await;
    })
    .await;
}
