use super::*;

#[test]
fn an_address_is_printed_as_it_is_read() {
    for text in ["10.0.0.6:9001", "[::1]:9001", "node-6.example:1"] {
        assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn a_text_that_is_no_address_is_refused() {
    for text in
        ["", "host", ":9001", "host:0", "host:65536", "::1:9001", "ho st:1", "host:", "[h:1"]
    {
        assert_eq!(text.parse::<Address>(), Err(AddressError(text.to_owned())), "{text}");
    }
}
