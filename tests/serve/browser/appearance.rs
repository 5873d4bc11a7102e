//! How the page looks: contrast, widths, and the screenshot of the README.

use super::*;

/// Each visible text with less contrast than 4.5:1 to its background.
pub const LOW_CONTRAST: &str = r#"(() => {
  const parse = (color) => {
    const numbers = color.match(/[\d.]+/g).map(Number);
    return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const luminance = ({ rgb }) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((value) =>
      value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if (color.alpha === 1) return color;
    }
    return { rgb: [255, 255, 255] };
  };
  const low = [];
  let seen = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const isText = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
    const isField = element.matches("input:not([type=hidden]), select, textarea");
    if (!(isText || isField) || !element.getClientRects().length || element.closest("svg, :disabled")) continue;
    seen += 1;
    const [one, other] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName} ${element.className} ${element.textContent}: ${ratio}`);
  }
  return { seen, low };
})()"#;

#[test]
fn the_page_is_readable_in_each_state_scheme_and_width() {
    let _one = one();
    let fleet = Fleet::started();
    let states = [
        json!({}),
        json!({"enable_firewall": false, "deny_list": {"ips": ["2001:db8:1111:2222:3333:4444:5555:6666"]}}),
        json!({"enable_firewall": "no", "an_unknown_key_that_is_as_long_as_a_line_of_a_small_screen_and_longer": 1}),
    ];
    let browser = Browser::started();
    let node = "long-".repeat(20);
    fleet.discover(&node, "portcullis", "");
    for count in [0, 7] {
        report(
            &fleet,
            &node,
            &format!("abs.ip:{count},manual.cookie:{count}"),
        );
    }
    eventually("the chart", || {
        browser.open(fleet.url());
        (browser.value_of("document.querySelectorAll('rect').length") == 2).then_some(())
    });
    for (index, state) in states.iter().enumerate() {
        let state = with(state.clone());
        fleet.write("portcullis.json", &filter(&state).to_string());
        eventually("the state", || {
            browser.open(fleet.url());
            let text = browser.value_of("document.body.innerText");
            let expected = ["The fleet is protected", "2001:db8", "an_unknown_key"][index];
            text.as_str().unwrap().contains(expected).then_some(())
        });
        for scheme in ["light", "dark"] {
            browser.color_scheme(scheme);
            let dark = browser.value_of("matchMedia('(prefers-color-scheme: dark)').matches");
            assert_eq!(dark, scheme == "dark");
            let found = browser.value_of(LOW_CONTRAST);
            assert_eq!(found["low"], json!([]), "state {index}, {scheme}");
            assert!(found["seen"].as_u64().unwrap() > 40, "{found}");
        }
        for width in [320, 768, 1280] {
            browser.resize(width, 700);
            let scroll = browser.value_of("document.documentElement.scrollWidth");
            let wide = browser.value_of(
                "Array.from(document.querySelectorAll('body *')).filter((one) => !one.closest('.scroll, .skip, svg') && \
                 one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 100))",
            );
            assert!(
                scroll.as_u64().unwrap() <= u64::from(width),
                "{width}: {wide}"
            );
            assert_eq!(wide, json!([]), "{width}");
        }
    }
}

/// `PORTCULLIS_SCREENSHOT` names the file that it writes.
#[test]
fn a_screenshot_can_be_taken() {
    let _one = one();
    let ips: Vec<_> = (1..=200).map(|last| format!("203.0.113.{last}")).collect();
    let abs =
        Upstream::of_json(&json!({"ips": ips, "cookies": {"SESSION": ["4f1d8c0a", "b7e2910d"]}}));
    let drop = Upstream::of("text/plain", "198.51.100.0/24\n2001:db8:bad::/48\n");
    let feeds = json!([{"name": "drop", "format": "text", "cluster": "drop", "path": "/drop.txt"}]);
    let fleet = relay(&with(json!({
        "feeds": feeds,
        "upstreams": {"abs": abs.url, "drop": drop.url},
    })));
    let lists = json!({
        "feeds": feeds,
        "deny_list": {"ips": ["192.0.2.66"], "api_keys": ["8c1f44ab-90d2"]},
        "allow_list": {"ips": ["192.0.2.0/28"]},
    });
    fleet.write("portcullis.json", &filter(&with(lists)).to_string());
    let browser = Browser::started();
    let nodes = ["edge-fra-1", "edge-fra-2", "edge-iad-1"];
    for node in nodes {
        report(&fleet, node, "abs.ip:0");
    }
    eventually("the lists", || {
        let response = body(&fleet.discover("edge-fra-1", "portcullis", ""));
        let version = response["version_info"].as_str().unwrap();
        for node in nodes {
            fleet.discover(node, "portcullis", version);
            // The totals of a node: another report of the same adds nothing.
            report(
                &fleet,
                node,
                "abs.ip:25,abs.cookie:11,drop.ip:9,manual.ip:4",
            );
        }
        browser.open(fleet.url());
        let text = browser.text("main");
        [
            "The fleet is protected",
            "200 ip, 2 cookie",
            "192.0.2.66",
            "manual ip: 12",
        ]
        .iter()
        .all(|part| text.contains(part))
        .then_some(())
    });
    browser.resize(1280, 900);
    let shot = browser.screenshot();
    assert!(
        shot.starts_with(b"\x89PNG") && shot.len() > 20_000,
        "{}",
        shot.len()
    );
    if let Some(path) = std::env::var_os("PORTCULLIS_SCREENSHOT") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, shot).unwrap();
    }
}
