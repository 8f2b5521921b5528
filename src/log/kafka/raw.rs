//! The one place with `unsafe`: calls of librdkafka for which the client library has no safe one.
#![expect(
    unsafe_code,
    reason = "topic ids, headers of any bytes, answers to commits and quick ends of transactions can only be had from librdkafka itself"
)]

use rdkafka::TopicPartitionList;
use rdkafka::bindings as native;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use std::ffi::{CStr, CString};
use std::time::Duration;

/// The headers of a message. Producers may write any bytes as a name, on which the client library's own call panics: what
/// is not UTF-8 is replaced here. A header without a value has an empty one.
pub(super) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    // SAFETY: the message, and with it the headers, their names and values, live as long as the borrow; librdkafka
    // gives a C string as a name, and as many bytes as it says at a value that is not null.
    unsafe {
        let mut headers = std::ptr::null_mut();
        let answer = native::rd_kafka_message_headers(message.ptr(), &raw mut headers);
        if answer != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return found;
        }
        for place in 0..native::rd_kafka_header_cnt(headers) {
            let (mut name, mut value, mut bytes) = (std::ptr::null(), std::ptr::null(), 0);
            let answer = native::rd_kafka_header_get_all(
                headers,
                place,
                &raw mut name,
                &raw mut value,
                &raw mut bytes,
            );
            if answer != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            let value = if value.is_null() {
                Vec::new()
            } else {
                std::slice::from_raw_parts(value.cast::<u8>(), bytes).to_vec()
            };
            found.push((text(name), value));
        }
    }
    found
}

/// Commits that a consumer does not wait for, with their answers. The client library's own asynchronous commit never
/// gives one: librdkafka reports it only to a callback that the library no longer sets.
pub(super) struct Commits {
    queue: *mut native::rd_kafka_queue_t,
}

/// The answer to a commit: what the group says of all of it, and of each partition (topic, partition, offset, whether it
/// was taken).
pub(super) type CommitAnswer = (Result<(), RDKafkaErrorCode>, Vec<(String, i32, i64, bool)>);

impl Commits {
    /// Of `consumer`. Must be dropped before it.
    pub(super) fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Commits {
        // SAFETY: the handle lives as long as the consumer; the queue is destroyed once, when this is dropped.
        Commits { queue: unsafe { native::rd_kafka_queue_new(consumer.client().native_ptr()) } }
    }

    /// Begins a commit.
    pub(super) fn begin<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        offsets: &TopicPartitionList,
    ) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: all three live during the call; librdkafka copies the list and holds the queue until it has answered.
        let answer = unsafe {
            native::rd_kafka_commit_queue(
                consumer.client().native_ptr(),
                offsets.ptr(),
                self.queue,
                None,
                std::ptr::null_mut(),
            )
        };
        if answer == native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(())
        } else {
            Err(answer.into())
        }
    }

    /// The next answer, if one is there. Never waits.
    pub(super) fn answer(&self) -> Option<CommitAnswer> {
        const GOOD: native::rd_kafka_resp_err_t = native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        let mut partitions = Vec::new();
        // SAFETY: the queue lives as long as this; the event, and with it the list and its names, lives until it is
        // destroyed, once, at the end; the list has as many elements as it says.
        let error = unsafe {
            let event = native::rd_kafka_queue_poll(self.queue, 0);
            if event.is_null() {
                return None;
            }
            let error = native::rd_kafka_event_error(event);
            let list = native::rd_kafka_event_topic_partition_list(event);
            if !list.is_null() {
                for place in 0..usize::try_from((*list).cnt).unwrap_or(0) {
                    let element = &*(*list).elems.add(place);
                    let is_taken = error == GOOD && element.err == GOOD;
                    partitions.push((text(element.topic), element.partition, element.offset, is_taken));
                }
            }
            native::rd_kafka_event_destroy(event);
            error
        };
        Some((if error == GOOD { Ok(()) } else { Err(error.into()) }, partitions))
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        // SAFETY: made once, and destroyed here only.
        unsafe { native::rd_kafka_queue_destroy(self.queue) }
    }
}

/// Commits the transaction of `producer`. The client library's own call flushes first, in steps of 100 ms; what is
/// under way is waited for by librdkafka anyway.
///
/// # Errors
///
/// A message: it was aborted, or nobody knows.
pub(super) fn commit_transaction<P: ProducerContext>(
    producer: &ThreadedProducer<P>,
    patience: Duration,
) -> Result<(), String> {
    let patience_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the producer, and with it the handle, lives as long as the borrow; an error that is not null is
    // destroyed exactly once, after what it says was copied.
    unsafe {
        let error = native::rd_kafka_commit_transaction(producer.client().native_ptr(), patience_ms);
        if error.is_null() {
            return Ok(());
        }
        let message = text(native::rd_kafka_error_string(error));
        native::rd_kafka_error_destroy(error);
        Err(message)
    }
}

/// The ids (Kafka's UUIDs, most significant bits first) of those of `names` that exist.
///
/// # Errors
///
/// A message, if the broker did not answer within `patience`.
pub(super) fn topic_ids<C: ClientContext + ConsumerContext>(
    client: &BaseConsumer<C>,
    names: &[&str],
    patience: Duration,
) -> Result<Vec<(String, u128)>, String> {
    let names: Vec<CString> = names
        .iter()
        .map(|name| CString::new(*name))
        .collect::<Result<_, _>>()
        .map_err(|fault| fault.to_string())?;
    let mut pointers: Vec<*const std::ffi::c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let patience_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `client` outlives this function, and with it the handle; `names` outlives the collection, which
    // copies them anyway. The collection, the options, the queue and the event are each made here, checked
    // for null before use where librdkafka may return it, and destroyed exactly once, the event after the last use
    // of what it owns (result, descriptions, strings, ids).
    unsafe {
        let handle = client.client().native_ptr();
        let collection =
            native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = native::rd_kafka_queue_new(handle);
        let options = native::rd_kafka_AdminOptions_new(
            handle,
            native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        native::rd_kafka_DescribeTopics(handle, collection, options, queue);
        let event = native::rd_kafka_queue_poll(queue, patience_ms);
        let ids = if event.is_null() {
            Err("the broker did not answer in time".to_owned())
        } else if native::rd_kafka_event_error(event)
            != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            Err(text(native::rd_kafka_event_error_string(event)))
        } else {
            Ok(described(event))
        };
        if !event.is_null() {
            native::rd_kafka_event_destroy(event);
        }
        native::rd_kafka_AdminOptions_destroy(options);
        native::rd_kafka_queue_destroy(queue);
        native::rd_kafka_TopicCollection_destroy(collection);
        ids
    }
}

/// # Safety
///
/// `event` must be the result event of a DescribeTopics call.
unsafe fn described(event: *mut native::rd_kafka_event_t) -> Vec<(String, u128)> {
    let mut ids = Vec::new();
    // SAFETY: by the contract of this function; what is pointed to lives as long as the event.
    unsafe {
        let result = native::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return ids;
        }
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for place in 0..count {
            let topic = *topics.add(place);
            let error = native::rd_kafka_TopicDescription_error(topic);
            let code = native::rd_kafka_error_code(error);
            if code != native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                continue;
            }
            let id = native::rd_kafka_TopicDescription_topic_id(topic);
            let upper = native::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
            let lower = native::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
            let name = text(native::rd_kafka_TopicDescription_name(topic));
            ids.push((name, u128::from(upper) << 64 | u128::from(lower)));
        }
    }
    ids
}

/// # Safety
///
/// `pointer` must be null or a C string.
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
