//! The page in a real browser, as people use it: with JavaScript and without, by mouse and by keyboard, on small screens
//! and in both colour schemes.

mod appearance;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::relay::relay;
use crate::relay::upstream::Upstream;
use crate::support::{Fleet, body, eventually, filter};
use crate::webdriver::{Browser, TAB};

/// One browser at a time: a test machine has few cores.
static ONE: Mutex<()> = Mutex::new(());

fn one() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fleet whose filter blocks on ABS's list.
fn protected() -> Fleet {
    let mut fleet = Fleet::new();
    let configuration = with(json!({}));
    fleet.write("portcullis.json", &filter(&configuration).to_string());
    fleet.start();
    fleet
}

/// The configuration of a fleet that is protected, with other keys.
fn with(keys: Value) -> Value {
    let mut configuration = json!({"enable_abs_attack": true, "abs": {"cluster": "abs", "authority": "abs.example.com"}});
    for (key, value) in keys.as_object().unwrap() {
        configuration[key] = value.clone();
    }
    configuration
}

/// A report of a node, as the filter sends it.
fn report(fleet: &Fleet, node: &str, denied: &str) {
    let report = format!("v=1;node={node};module=0.2.0;denied={denied};lists=abs:7:1200");
    fleet.get("/v4/abs/attacklist", &[("x-portcullis-node", &report)]);
}

/// The configuration in the file.
fn in_file(fleet: &Fleet) -> Value {
    let text = fs::read(fleet.path("filters/portcullis.json")).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    file.pointer("/resources/0/typed_config/config/configuration/value")
        .unwrap()
        .clone()
}

/// The configuration that nodes get.
fn served(fleet: &Fleet) -> Value {
    let response = body(&fleet.discover("a", "portcullis", ""));
    response
        .pointer("/resources/0/typed_config/config/configuration/value")
        .unwrap()
        .clone()
}

fn story(javascript: bool) {
    let _one = one();
    let fleet = protected();
    let browser = Browser::started();
    if !javascript {
        browser.disable_javascript();
    }
    browser.open(fleet.url());
    let is_live = browser.value_of("document.documentElement.classList.contains('live')");
    assert_eq!(is_live, javascript);
    assert!(
        browser
            .text("#headline-title")
            .contains("The fleet is protected")
    );

    // A switch.
    let switch = "#switch-portcullis-firewall";
    assert_eq!(browser.attribute(switch, "aria-checked").unwrap(), "true");
    browser.click(switch);
    eventually("the switch is off", || {
        (browser.attribute(switch, "aria-checked").as_deref() == Some("false")).then_some(())
    });
    assert_eq!(in_file(&fleet), with(json!({"enable_firewall": false})));
    assert_eq!(served(&fleet), with(json!({"enable_firewall": false})));
    assert!(
        browser
            .text("#headline-title")
            .contains("The fleet is not protected")
    );
    eventually("the message", || {
        browser
            .text("#message")
            .contains("the firewall is off")
            .then_some(())
    });
    browser.click(switch);
    eventually("the switch is on", || {
        (browser.attribute(switch, "aria-checked").as_deref() == Some("true")).then_some(())
    });
    assert_eq!(served(&fleet), with(json!({"enable_firewall": true})));

    // A wrong value: the error is at its field, and the value is still there.
    browser.fill("#entry-portcullis-value", "localhost");
    browser.click(".entry button[value=add]");
    let error = eventually("the error", || {
        let text = browser.text("#entry-portcullis-value-error");
        (!text.is_empty()).then_some(text)
    });
    assert!(error.contains("\"localhost\" is not an address"), "{error}");
    let field = "#entry-portcullis-value";
    assert_eq!(browser.attribute(field, "aria-invalid").unwrap(), "true");
    let description = browser.attribute(field, "aria-describedby").unwrap();
    assert!(description.contains("entry-portcullis-value-error"));
    assert_eq!(browser.attribute(field, "value").unwrap(), "localhost");
    assert_eq!(in_file(&fleet), with(json!({"enable_firewall": true})));

    // An address, and a secret.
    browser.fill(field, "203.0.113.7");
    browser.click(".entry button[value=add]");
    eventually("the address in the list", || {
        browser
            .text("#lists table")
            .contains("203.0.113.7")
            .then_some(())
    });
    browser.click("#entry-portcullis-kind option[value=cookie]");
    browser.fill("#entry-portcullis-name", "SID");
    browser.fill(field, "secretvalue");
    browser.click(".entry button[value=add]");
    eventually("the cookie in the list", || {
        browser
            .text("#lists table")
            .contains("secr...")
            .then_some(())
    });
    let html = browser.value_of("document.documentElement.outerHTML");
    assert!(!html.as_str().unwrap().contains("secretvalue"));
    let both = json!({"ips": ["203.0.113.7"], "cookies": {"SID": ["secretvalue"]}});
    assert_eq!(in_file(&fleet)["deny_list"], both);
    assert_eq!(served(&fleet)["deny_list"], both);

    // Why is this client blocked?
    browser.fill("#explain-address", "203.0.113.7");
    browser.click("#explain form > button");
    let result = eventually("the result", || {
        let text = browser.text("#explain-result");
        (!text.is_empty()).then_some(text)
    });
    for part in ["Blocked", "the blacklist names ip 203.0.113.7", "deny list"] {
        assert!(result.contains(part), "{part}: {result}");
    }
    browser.fill("#explain-address", "nonsense");
    browser.click("#explain form > button");
    eventually("the error of the address", || {
        let text = browser.text("#explain-address-error");
        text.contains("not an address").then_some(())
    });

    // Removed by its place.
    browser.open(fleet.url());
    browser.click("#lists table tbody tr:first-child button");
    eventually("the address is removed", || {
        (!browser.text("#lists table").contains("203.0.113.7")).then_some(())
    });
    let cookie = json!({"ips": [], "cookies": {"SID": ["secretvalue"]}});
    assert_eq!(served(&fleet)["deny_list"], cookie);

    // Who did what.
    let changes = browser.text("#changes");
    for part in [
        "enable_firewall: false -> true",
        "deny_list.ips: - \"203.0.113.7\"",
        "operator at 127.0.0.1",
    ] {
        assert!(changes.contains(part), "{part}: {changes}");
    }
    assert!(!changes.contains("secretvalue"));
}

#[test]
fn everything_works_without_javascript() {
    story(false);
}

#[test]
fn everything_works_with_javascript() {
    story(true);
}

#[test]
fn a_stale_place_removes_nothing() {
    let _one = one();
    let fleet = Fleet::started();
    let list = |ips: &[&str]| filter(&json!({"deny_list": {"ips": ips}})).to_string();
    fleet.write("portcullis.json", &list(&["192.0.2.1", "192.0.2.2"]));
    let browser = Browser::started();
    // Without it the page would refresh itself.
    browser.disable_javascript();
    eventually("both entries", || {
        browser.open(fleet.url());
        browser
            .text("#lists table")
            .contains("192.0.2.2")
            .then_some(())
    });
    fleet.write(
        "portcullis.json",
        &list(&["192.0.2.3", "192.0.2.1", "192.0.2.2"]),
    );
    browser.click("#lists table tbody tr:first-child button");
    eventually("the message", || {
        let message = browser.text("#message");
        message.contains("was changed meanwhile").then_some(())
    });
    assert_eq!(
        in_file(&fleet)["deny_list"]["ips"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn the_page_refreshes_itself_around_what_is_typed() {
    let _one = one();
    let fleet = protected();
    let browser = Browser::started();
    browser.open(fleet.url());
    browser.fill("#explain-address", "192.0.2.9");
    browser.value_of("window.scrollTo(0, 200)");
    let place =
        "Math.round(document.getElementById('explain-address').getBoundingClientRect().top)";
    let before = browser.value_of(place);
    fleet.write(
        "portcullis.json",
        &filter(&with(json!({"enable_firewall": false}))).to_string(),
    );
    eventually("the new state", || {
        browser
            .text("#headline-title")
            .contains("not protected")
            .then_some(())
    });
    let off = browser.attribute("#switch-portcullis-firewall", "aria-checked");
    assert_eq!(off.unwrap(), "false");
    let typed = browser.value_of("document.getElementById('explain-address').value");
    assert_eq!(typed, "192.0.2.9");
    let focused = browser.value_of("document.activeElement.id");
    assert_eq!(focused, "explain-address");
    // What is above has grown; what is read stays in its place.
    assert_eq!(browser.value_of(place), before);
    let title = browser.value_of("document.title");
    assert!(title.as_str().unwrap().contains("not protected"), "{title}");
    // Every error of an invalid file, and a locked switch.
    let invalid = filter(&with(json!({"enable_firewall": "no", "enable_abs": 3})));
    fleet.write("portcullis.json", &invalid.to_string());
    let problem = eventually("the errors", || {
        let text = browser.text(".problem");
        (!text.is_empty()).then_some(text)
    });
    for part in [
        "portcullis.json",
        "enable_firewall: found a string",
        "enable_abs: found a number",
    ] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    let locked = browser.value_of("document.getElementById('switch-portcullis-firewall').disabled");
    assert_eq!(locked, true);
}

#[test]
fn a_switch_is_reached_and_pressed_by_keyboard() {
    let _one = one();
    let fleet = Fleet::started();
    let browser = Browser::started();
    browser.open(fleet.url());
    let mut reached = String::new();
    for _ in 0..40 {
        browser.press(TAB);
        let id = browser.value_of("document.activeElement.id");
        reached = id.as_str().unwrap_or_default().to_owned();
        let outline = browser.value_of("getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(outline, "solid", "the focus on {reached} is not visible");
        if reached == "switch-portcullis-firewall" {
            break;
        }
    }
    assert_eq!(reached, "switch-portcullis-firewall");
    browser.press(" ");
    eventually("the switch is off", || {
        (served(&fleet) == json!({"enable_firewall": false})).then_some(())
    });
    eventually("the focus is on the switch again", || {
        let id = browser.value_of("document.activeElement.id");
        (id == "switch-portcullis-firewall").then_some(())
    });
}

#[test]
fn the_page_sends_requests_to_its_own_server_only() {
    let _one = one();
    let fleet = Fleet::started();
    let browser = Browser::started();
    browser.open(fleet.url());
    let names = || {
        let names = browser.value_of("performance.getEntries().filter((one) => one.entryType !== 'paint' && \
             one.entryType !== 'visibility-state' && one.name.includes(':')).map((one) => one.name)");
        serde_json::from_value::<Vec<String>>(names).unwrap()
    };
    // The refresh is one of them.
    let names = eventually("a refresh", || {
        let names = names();
        let own = names
            .iter()
            .filter(|name| **name == format!("{}/", fleet.url()));
        (own.count() > 1).then_some(names)
    });
    assert!(names.iter().any(|name| name.ends_with("/assets/style.css")));
    assert!(names.iter().any(|name| name.ends_with("/assets/script.js")));
    for name in names {
        assert!(name.starts_with(fleet.url()), "{name}");
    }
    let policy = fleet.get("/", &[]);
    let policy = policy.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    // What the policy forbids does not run.
    browser.value_of("document.body.insertAdjacentHTML('beforeend', '<p id=\"inline\" style=\"color: red\">x</p>')");
    let color = browser.value_of("document.getElementById('inline').style.color");
    assert_eq!(color, "");
}

#[test]
fn a_reader_logs_in_sees_and_changes_nothing() {
    let _one = one();
    let mut fleet = Fleet::new();
    for (name, token) in [
        (
            "PORTCULLIS_OPERATOR_TOKEN",
            "an-operator-token-of-a-test-0123456789",
        ),
        (
            "PORTCULLIS_READ_TOKEN",
            "a-read-token-of-a-test-0123456789-abcd",
        ),
    ] {
        fleet.environment.push((name.to_owned(), token.to_owned()));
    }
    fleet.start();
    let browser = Browser::started();
    browser.open(fleet.url());
    at_login(&browser);
    assert!(!browser.text("label").is_empty());
    let found = browser.value_of(appearance::LOW_CONTRAST);
    assert_eq!(found["low"], json!([]));
    browser.fill("#token", "wrong");
    browser.click("form button");
    eventually("the error", || {
        let error = browser.text("#token-error");
        error.contains("not the token").then_some(())
    });
    assert_eq!(browser.attribute("#token", "aria-invalid").unwrap(), "true");
    browser.fill("#token", "a-read-token-of-a-test-0123456789-abcd");
    browser.click("form button");
    let locked =
        "Array.from(document.querySelectorAll('[role=switch]')).map((one) => one.disabled)";
    eventually("three locked switches", || {
        (browser.value_of(locked) == json!([true, true, true])).then_some(())
    });
    assert!(browser.text("footer").contains("You are a reader"));
    browser.fill("#explain-address", "203.0.113.7");
    browser.click("#explain form > button");
    eventually("the result", || {
        browser
            .text("#explain-result")
            .contains("Allowed")
            .then_some(())
    });
    browser.click("footer form button");
    at_login(&browser);
    browser.fill("#token", "an-operator-token-of-a-test-0123456789");
    browser.click("form button");
    let switch = "#switch-portcullis-firewall";
    eventually("the switch", || browser.attribute(switch, "role"));
    browser.click(switch);
    eventually("the change in the file", || {
        (in_file(&fleet) == json!({"enable_firewall": false})).then_some(())
    });
}

fn at_login(browser: &Browser) {
    eventually("the login", || {
        (browser.value_of("location.pathname") == "/login").then_some(())
    });
}
