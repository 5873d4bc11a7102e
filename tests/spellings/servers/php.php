<?php
// What PHP recognises. usage: php -S 127.0.0.1:PORT php.php
declare(strict_types=1);

header('Content-Type: text/plain');

/** One line for a reading that found something; of an array the first element counts. */
function reading(string $name, mixed $value): void
{
    while (is_array($value)) {
        $value = reset($value);
    }
    if (is_string($value) && $value !== '') {
        echo $name, ' ', bin2hex($value), "\n";
    }
}

foreach (['S', 'T', 'E', 'app_sid', 'JSESSIONID', 'token'] as $name) {
    reading("cookie.$name", $_COOKIE[$name] ?? null);
}
reading('path', rawurldecode(explode('?', $_SERVER['REQUEST_URI'])[0]));
reading('key.header', $_SERVER['HTTP_X_API_KEY'] ?? null);
reading('key.query', $_GET['api_key'] ?? null);
reading('token.query', $_GET['access_token'] ?? null);
reading('basic.php', $_SERVER['PHP_AUTH_USER'] ?? null);

$authorization = $_SERVER['HTTP_AUTHORIZATION'] ?? '';
if (preg_match('/Bearer\s(\S+)/', $authorization, $found)) {
    reading('auth.preg_match', $found[1]);
}
reading('auth.explode_1', explode(' ', $authorization)[1] ?? null);
// As Laravel does: after the last "Bearer ", up to a comma.
$position = strripos($authorization, 'Bearer ');
if ($position !== false) {
    reading('auth.laravel', explode(',', substr($authorization, $position + 7))[0]);
}
// As the OAuth 2.0 server of The PHP League does.
reading('auth.league', trim((string) preg_replace('/^\s*Bearer\s/', '', $authorization)));
// As the manual's example does.
preg_match_all('/(\w+)=(?:(["\'])(.*?)\2|([^\s,]+))/', $_SERVER['PHP_AUTH_DIGEST'] ?? '', $found, PREG_SET_ORDER);
foreach ($found as $parameter) {
    if ($parameter[1] === 'username') {
        reading('digest.php', $parameter[4] ?? $parameter[3]);
    }
}
