//! What the edge's cache reads: fields that say what may be kept, and files of its disk tier.

use edge::cache::disk::{
    DiskIndex, FIXED_BYTES, Lengths, decode_vary, encode_front, encode_vary, parse_purge_line,
    parse_rest,
};
use edge::cache::policy::{
    Control, Policy, RequestControl, StoredHead, Wanted, content_range, one_range,
    selecting_values, storing, vary_names, wanted_ranges,
};
use edge::cache::{CacheKey, Pieces};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// Longest body that a file may announce.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// Files of the disk tier: what is accepted is of the length that it announces, and is written again
/// as it was read.
pub fn cache_object(data: &[u8]) {
    let Some(fixed) = data.first_chunk::<FIXED_BYTES>() else {
        return;
    };
    let Ok(lengths) = Lengths::parse(fixed, data.len() as u64, BODY_BYTES_MAX) else {
        return;
    };
    assert_eq!(lengths.file_bytes(), data.len() as u64);
    let (front, body) = data.split_at(FIXED_BYTES + lengths.rest_bytes());
    let mut fixed = *fixed;
    // A mutation that keeps the checksum is too rare to wait for: it is set right, and what lies
    // behind it is looked at.
    let sum = crc32c::crc32c_append(crc32c::crc32c(&fixed[..28]), &front[FIXED_BYTES..]);
    fixed[28..].copy_from_slice(&sum.to_le_bytes());
    let Ok((meta, table)) = parse_rest(&fixed, lengths, &front[FIXED_BYTES..]) else {
        return;
    };
    assert_eq!(table.len(), lengths.blocks());
    let pieces: Pieces = [bytes::Bytes::copy_from_slice(body)].into_iter().collect();
    if let Some(again) = encode_front(&meta, &pieces) {
        let fixed = again.first_chunk::<FIXED_BYTES>().expect("a front has one");
        let file_bytes = again.len() as u64 + pieces.len_bytes();
        let lengths = Lengths::parse(fixed, file_bytes, BODY_BYTES_MAX).expect("written by us");
        let (read, _) = parse_rest(fixed, lengths, &again[FIXED_BYTES..]).expect("written by us");
        assert_eq!(read, meta);
    }
    let head = meta.into_head(&Policy::default());
    let now = head.response_time + std::time::Duration::from_secs(1);
    assert!(head.age(now) >= head.age(head.response_time));
}

/// Header fields, one a line: they are read as an answer's and as a request's. What forbids storing
/// is never lost.
pub fn cache_control(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    let policy = Policy { heuristic_percent: 10, ..Policy::default() };
    let request = RequestControl::of_request(&headers);
    assert!(request.max_age.is_none_or(|age| age.as_secs() <= 1 << 31));
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    for status in [StatusCode::OK, StatusCode::NOT_FOUND] {
        let head = StoredHead::new(status, headers.clone(), (now, now), Vec::new(), 0, &policy);
        assert_eq!(head.is_fresh(now), head.lifetime > head.age(now));
        if status == StatusCode::NOT_FOUND {
            assert!(head.lifetime <= policy.negative_max);
        }
        let decided = storing(&Method::GET, &headers, status, &headers, &head.control);
        let is_kept = matches!(decided, edge::cache::policy::Storing::Store(_));
        assert!(!(is_kept && head.control.private));
        if let Wanted::One(range) = wanted_ranges(&Method::GET, &headers, &head, 36) {
            assert!(range.start < range.end && range.end <= 36);
        }
    }
    let plain = Control::of_response(&headers, &[]);
    assert!(!plain.is_targeted);
    if let Some(names) = vary_names(&headers)
        && let Some(values) = selecting_values(&names, &headers)
    {
        let key = CacheKey::new("a", "/", &[]).expect("a good key");
        assert_eq!(values.is_empty(), key.variant_hash(&values) == key.hash());
    }
}

/// Files beside the objects: the index, what URLs vary by, lines of the log of purges. What is read is
/// written again as it was.
pub fn cache_files(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let sum = crc32c::crc32c(body);
    match kind % 3 {
        0 => {
            let file = [body, &sum.to_le_bytes()].concat();
            if let Some(index) = DiskIndex::decode(&file) {
                let again = DiskIndex::decode(&index.encode()).expect("written by us");
                assert_eq!((again.objects(), again.bytes()), (index.objects(), index.bytes()));
            }
        }
        1 => {
            let file = [body, &sum.to_le_bytes()].concat();
            if let Some(rows) = decode_vary(&file) {
                assert_eq!(decode_vary(&encode_vary(&rows)).expect("written by us"), rows);
            }
        }
        _ => {
            for line in body.split(|byte| *byte == b'\n').take(64) {
                let text = [format!("{:08x} ", crc32c::crc32c(line)).as_bytes(), line].concat();
                let _ = (parse_purge_line(line), parse_purge_line(&text));
            }
        }
    }
}

/// Ranges in both directions: of a request, a line each, and of a part, by the last line.
pub fn cache_ranges(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut last = None;
    for line in data.split(|byte| *byte == b'\n').take(8) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(http::header::RANGE, value.clone());
            last = Some(value);
        }
    }
    if let Some(part) = last.as_ref().and_then(content_range) {
        assert!(part.start < part.end);
        assert!(part.total.is_none_or(|total| part.end <= total));
    }
    let now = std::time::UNIX_EPOCH;
    let policy = Policy::default();
    let plain = HeaderMap::new();
    let head = StoredHead::new(StatusCode::OK, plain, (now, now), Vec::new(), 0, &policy);
    for len in [0, 1, 36, u64::MAX] {
        let one = one_range(&headers, len);
        assert!(one.as_ref().is_none_or(|range| range.start < range.end && range.end <= len));
        if let (Some(one), Wanted::One(wanted)) =
            (one, wanted_ranges(&Method::GET, &headers, &head, len))
        {
            assert_eq!(one, wanted, "slices and wholes are cut alike");
        }
    }
}
