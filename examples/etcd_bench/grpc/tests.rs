use super::*;

#[test]
fn a_message_is_what_protocol_buffers_say() {
    let mut message = begin_message();
    put_bytes(&mut message, 1, b"key");
    put_bytes(&mut message, 2, &[7; 300]);
    let bytes = end_message(message);
    let head = [0, 0, 0, 1, 52, 0x0a, 3, b'k', b'e', b'y', 0x12, 0xac, 0x02];
    assert_eq!(bytes[..head.len()], head);
    assert_eq!(bytes.len(), head.len() + 300);
    let read: Result<Vec<_>, Fault> = fields(&bytes[HEADER_BYTES..]).collect();
    assert_eq!(read, Ok(vec![(1, Content::Bytes(b"key")), (2, Content::Bytes(&[7; 300]))]));
}

#[test]
fn a_member_leads_when_it_says_that_it_is_the_leader() {
    let status = |leader| [0x0a, 5, 0x10, 0x96, 0x01, 0x18, 7, 0x20, leader, 0x01, 0x28, 9];
    assert_eq!(read_leads(&status(0x96)), Ok(true));
    assert_eq!(read_leads(&status(0x97)), Ok(false));
    assert_eq!(read_leads(&[]), Ok(false));
}

#[test]
fn a_message_that_is_cut_short_is_malformed() {
    for message in [&[0x0a][..], &[0x0a, 5, 1], &[0x80], &[0x0b, 1], &[0x80; 12]] {
        assert_eq!(fields(message).last(), Some(Err(MALFORMED)), "{message:?}");
    }
}
