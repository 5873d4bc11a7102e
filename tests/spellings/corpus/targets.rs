//! Identifiers in the request target and in headers of their own: query, API key, session in the path.

use super::Rows;
use crate::identities::{Identity, percent_encoded, shop};
use crate::raw::RawRequest;
use Identity::*;

pub fn add(rows: &mut Rows) {
    rows.targets(
        "query: access_token",
        Token,
        &[
            b"/x?a=b&access_token={}&c=d",
            b"/?%61ccess_token={}",
            b"/?access%5Ftoken={}",
            b"/?access.token={}",
            b"/?access_token[]={}",
            b"/?access_token=x&access_token={}",
            b"/?access_token={}&access_token=x",
        ],
    );
    rows.targets(
        "query: names",
        ApiKey,
        &[
            b"/?a=b&api_key={}",
            b"/?api_key=x&api_key={}",
            b"/?api_key={}&api_key=x",
            b"/?api%5Fkey={}",
            b"/?%61pi_key={}",
        ],
    );
    rows.targets(
        "query: letter case",
        ApiKey,
        &[b"/?API_KEY={}", b"/?Api_Key={}"],
    );
    rows.targets(
        "query: PHP's names",
        ApiKey,
        &[
            b"/?api.key={}",
            b"/?api%20key={}",
            b"/?api+key={}",
            b"/?api[key={}",
            b"/?api%2Ekey={}",
            b"/?api%5Bkey={}",
            b"/?%20api_key={}",
            b"/?+api_key={}",
            b"/?api_key%00={}",
            b"/?api_key%00x={}",
        ],
    );
    rows.targets(
        "query: arrays",
        ApiKey,
        &[
            b"/?api_key[]={}",
            b"/?api_key[0]={}",
            b"/?api_key%5B%5D={}",
            b"/?api_key[a]={}",
        ],
    );
    rows.targets(
        "query: separators",
        ApiKey,
        &[
            b"/?a=b;api_key={}",
            b"/?api_key={};a=b",
            b"/??api_key={}",
            b"/?&&api_key={}&",
            b"/?a&api_key={}",
        ],
    );
    rows.targets(
        "query: values",
        ApiKey,
        &[
            b"/?api_key={}%20",
            b"/?api_key=%20{}",
            b"/?api_key={}+",
            b"/?api_key={}%00",
            b"/?api_key={}%09",
            b"/?api_key={}%0A",
            b"/?api_key={}%0D%0A",
            b"/?api_key=%01{}%1F",
            // Envoy truncates the target there.
            b"/?api_key={}\t",
            b"/?api_key={}\r",
        ],
    );
    let all: String = ApiKey
        .value()
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let encoded = EncodedApiKey.value();
    for (identity, target) in [
        (ApiKey, format!("/?api_key={all}")),
        (
            EncodedApiKey,
            format!("/?api_key={}", encoded.replace('+', "%2B")),
        ),
        (
            EncodedApiKey,
            format!(
                "/?api_key={}",
                encoded.replace('+', "%2b").replace('=', "%3d")
            ),
        ),
    ] {
        rows.add("query: values", identity, RawRequest::path(target));
    }

    let value = ApiKey.value();
    for name in [
        "X-API-KEY",
        "x_api_key",
        "x-api_key",
        "X_Api-Key",
        "x.api.key",
        "x-api.key",
    ] {
        rows.add("header: names", ApiKey, RawRequest::header(name, value));
    }
    rows.headers(
        "header: values",
        ApiKey,
        "x-api-key",
        &[b" {}", b"{} ", b"{}\t"],
    );
    for request in [
        RawRequest::header("x-api-key", "x").and("x-api-key", value),
        RawRequest::header("x-api-key", value).and("x-api-key", "x"),
    ] {
        rows.add("header: values", ApiKey, request);
    }

    let session = percent_encoded(JSessionId.value());
    for target in [
        "/;jsessionid={}",
        "/x;jsessionid={}",
        "/x;jsessionid={}?a=b",
        "/x;a=b;jsessionid={}",
        "/x;jsessionid={};a=b",
        "/x;jsessionid={}/y",
        "/a;b=c/x;jsessionid={}",
        "/;x=y/;jsessionid={}",
        "/;a%41;jsessionid={}",
        "/;jsessionid={}\\x",
    ] {
        let target = target.replace("{}", &session);
        rows.add("path: jsessionid", JSessionId, RawRequest::path(target));
    }

    // Paths that look like the API with blocking off.
    for target in [
        "/open/..;/shop/cart",
        "/open/..;x=1/shop/cart",
        "/open/%2e%2e;/shop/cart",
        "/open/.%2E;/shop/cart",
        "/open/x/..;/..;/shop/cart",
        "/open/../shop/cart",
        "/open/%2e%2e/shop/cart",
        "/open;/../shop/cart",
        "/open/..\\shop/cart",
    ] {
        rows.add("path: API", Shop, shop(target));
    }
}
