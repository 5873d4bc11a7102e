"""The requests: clean ones, and ones with entries of the simulator's generated lists."""

import base64

# Different clients in each file, so that look-ups hit cold cache lines, as in production.
CLIENTS = 4096
# Stride through a list; prime, so that every entry is reached.
STRIDE = 7_919

CLEAN, BLOCKED = "clean", "blocked"


def write(path, kind, entries=0, kinds="ips", seed=1, bearer="opaque"):
    """A file of complete requests for load.lua."""
    blocks = []
    for number in range(CLIENTS):
        headers = clean(number, bearer)
        if kind == BLOCKED:
            headers.update(listed(number * STRIDE % entries, kinds, seed))
        blocks.append(request_bytes(headers))
    path.write_bytes(b"".join(blocks))
    return path


def request_bytes(headers):
    lines = ["GET /shop/cart HTTP/1.1", "host: api.example.com", "user-agent: wrk/4", "accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def clean(number, bearer="opaque"):
    """The headers of a client on no list."""
    # Lengths are those of the generated entries. 198.18.0.0/15 is never generated.
    token = f"tok-{'c' * 8}-{number:030x}"
    if bearer == "jwt":
        token = ".".join(
            base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (
                '{"alg":"RS256","typ":"JWT"}',
                f'{{"iss":"https://login.example.com","aud":"shop","sub":"clean{number}@example.com",'
                '"scope":"read write","iat":1790000000,"exp":1790003600}',
                "s" * 256))
    return {
        "x-forwarded-for": f"198.18.{number >> 8}.{number & 255}",
        "authorization": f"Bearer {token}",
        "cookie": f"theme=dark; SESSION={'c' * 8}{number:024x}",
        "x-api-key": f"key-{'c' * 8}-{number:023x}",
    }


def listed(index, kinds, seed=1):
    """The header that carries entry `index` of a generated list; the scheme is in the simulator's README."""
    if kinds == "ips":
        return _address(seed, index)
    number = index // 5
    match index % 5:
        case 0:
            return _address(seed, number)
        case 1:
            return {"cookie": f"theme=dark; SESSION={seed:08x}{number:024x}"}
        case 2:
            return {"authorization": f"Bearer tok-{seed:08x}-{number:030x}"}
        case 3:
            return {"x-api-key": f"key-{seed:08x}-{number:023x}"}
        case _:
            user = base64.b64encode(f"user{number}.{seed}@example.com:secret".encode()).decode()
            return {"authorization": f"Basic {user}"}


def _address(seed, number):
    host = ((seed - 1) * (1 << 20) + number) % (1 << 24)
    # Envoy reads the client's address from here, since the listeners trust one hop.
    return {"x-forwarded-for": f"10.{host >> 16}.{host >> 8 & 255}.{host & 255}"}


def lua_list(path, entries, kinds):
    """The same list for the Lua contender."""
    with open(path, "w", encoding="ascii") as out:
        for index in range(entries):
            (name, value), = listed(index, kinds).items()
            if name == "x-forwarded-for":
                out.write(f"ip\t{value}\n")
            elif name == "cookie":
                out.write(f"cookie\t{value.removeprefix('theme=dark; ')}\n")
            elif name == "x-api-key":
                out.write(f"api_key\t{value}\n")
            elif value.startswith("Bearer "):
                out.write(f"oauth_token\t{value.removeprefix('Bearer ')}\n")
    return path


def text_list(path, entries):
    """The same addresses as a text list."""
    ends = [f".{end}\n" for end in range(256)]
    with open(path, "w", encoding="ascii") as out:
        for network in range(-(-entries // 256)):
            prefix = f"10.{network >> 8}.{network & 255}"
            out.write(prefix + prefix.join(ends[:entries - network * 256]))
    return path
