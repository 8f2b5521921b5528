//! A span of days out of the archive as one Parquet file: every vector with its label, if that has come, by event time
//! and then by decision. Reads only files that manifests name. One day's rows are in memory at a time.

use super::day::{Day, Days};
use super::rows::{Set, batches, feature_fields, file_properties, vector_fields};
use super::store::{ArchiveError, ObjectArchive, day_of};
use crate::log::position::Offset;
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, new_null_array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

/// Rows that are put together at a time.
const ROWS_AT_ONCE: usize = 8_192;

/// What was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Of these, rows with a label.
    pub labels: u64,
}

/// Writes the vectors of payments that were attempted in `days`, with their labels, as Parquet to `out`. Calls `done`
/// when a day is written. A decision has no label here if none had been archived yet: `outcome` and `known_at_ms` are
/// null.
///
/// # Errors
///
/// [`ArchiveError`]: the archive cannot be read, or `out` not be written.
pub fn export<W: Write + Send>(
    archive: &ObjectArchive,
    days: Days,
    out: W,
    done: &mut dyn FnMut(Day),
) -> Result<Exported, ArchiveError> {
    let vectors = Chosen::find(archive, Set::Vectors, days)?;
    let labels = Chosen::find(archive, Set::Labels, days)?;
    let columns = Columns::with_features(vectors.features.iter().map(String::as_str));
    let written = |fault| ArchiveError::File { path: "the export".to_owned(), fault };
    let mut writer =
        ArrowWriter::try_new(out, columns.exported.clone(), Some(file_properties())).map_err(written)?;
    let mut exported = Exported::default();
    for day in days.iter() {
        let known = known_labels(archive, labels.of(day))?;
        let of_day = vectors_of(archive, vectors.of(day), &columns.vectors)?;
        for rows in in_order(&of_day).chunks(ROWS_AT_ONCE) {
            let (batch, with_label) = joined(&of_day, rows, &known, &columns.exported).map_err(written)?;
            writer.write(&batch).map_err(written)?;
            exported.rows += rows.len() as u64;
            exported.labels += with_label;
        }
        done(day);
    }
    writer.close().map_err(written)?;
    Ok(exported)
}

/// The files of a set that count, by day.
struct Chosen {
    files: BTreeMap<Day, Vec<String>>,
    /// The features that have a column in any of them.
    features: BTreeSet<String>,
}

impl Chosen {
    fn find(archive: &ObjectArchive, set: Set, days: Days) -> Result<Chosen, ArchiveError> {
        let mut listed = BTreeMap::new();
        for day in days.iter() {
            listed.insert(day, archive.files_of(set, day)?);
        }
        let ranges: BTreeSet<(u32, Offset)> = listed.values().flatten().map(|(_, range)| *range).collect();
        let manifests = archive.manifests(set, &ranges.into_iter().collect::<Vec<_>>())?;
        // a listing only finds ranges; what counts is what their manifests name, written meanwhile or not
        let mut files = BTreeMap::<Day, Vec<String>>::new();
        for path in manifests.values().flat_map(|manifest| &manifest.files) {
            if let Some(day) = day_of(path).filter(|day| days.contains(*day)) {
                files.entry(day).or_default().push(path.clone());
            }
        }
        let features = manifests.values().flat_map(|manifest| manifest.features.iter().cloned()).collect();
        Ok(Chosen { files, features })
    }

    fn of(&self, day: Day) -> &[String] {
        self.files.get(&day).map_or(&[], Vec::as_slice)
    }
}

/// The columns of vectors, and those of an export.
struct Columns {
    vectors: SchemaRef,
    exported: SchemaRef,
}

impl Columns {
    fn with_features<'n>(features: impl Iterator<Item = &'n str> + Clone) -> Columns {
        let label_fields =
            [Field::new("outcome", DataType::Utf8, true), Field::new("known_at_ms", DataType::Int64, true)];
        let vectors = vector_fields().into_iter().chain(feature_fields(features.clone()));
        let vectors = Schema::new(vectors.collect::<Vec<Field>>());
        let exported = vector_fields().into_iter().chain(label_fields).chain(feature_fields(features));
        let exported = Schema::new(exported.collect::<Vec<Field>>());
        Columns { vectors: Arc::new(vectors), exported: Arc::new(exported) }
    }
}

/// Outcome and when it was known, by decision.
type Labels = BTreeMap<String, (String, i64)>;

fn known_labels(archive: &ObjectArchive, paths: &[String]) -> Result<Labels, ArchiveError> {
    let mut labels = Labels::new();
    for (path, file) in paths.iter().zip(archive.read_files(Set::Labels, paths)?) {
        let faulty = |fault| ArchiveError::File { path: path.clone(), fault };
        for batch in batches(file).map_err(faulty)? {
            let (ids, outcomes, known_at) = label_columns(&batch).map_err(faulty)?;
            for place in 0..batch.num_rows() {
                let label = (outcomes.value(place).to_owned(), known_at.value(place));
                // a decision takes one label; of several, the first that was archived holds
                labels.entry(ids.value(place).to_owned()).or_insert(label);
            }
        }
    }
    Ok(labels)
}

fn label_columns(batch: &RecordBatch) -> Result<(&StringArray, &StringArray, &Int64Array), ParquetError> {
    Ok((texts(batch, "decision_id")?, texts(batch, "outcome")?, longs(batch, "known_at_ms")?))
}

/// The rows of these files, all with the same columns.
fn vectors_of(
    archive: &ObjectArchive,
    paths: &[String],
    columns: &SchemaRef,
) -> Result<Vec<RecordBatch>, ArchiveError> {
    let mut vectors = Vec::new();
    for (path, file) in paths.iter().zip(archive.read_files(Set::Vectors, paths)?) {
        let faulty = |fault| ArchiveError::File { path: path.clone(), fault };
        for batch in batches(file).map_err(faulty)? {
            vectors.push(with_columns(&batch, columns).map_err(faulty)?);
        }
    }
    Ok(vectors)
}

/// The same rows with these columns; those that the batch has not are null.
fn with_columns(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ParquetError> {
    let of_batch = batch.schema();
    let unknown = of_batch.fields().iter().find(|field| columns.field_with_name(field.name()).is_err());
    if let Some(field) = unknown {
        return Err(ParquetError::General(format!("its manifest knows no column {}", field.name())));
    }
    let column = |field: &Arc<Field>| {
        let missing = || new_null_array(field.data_type(), batch.num_rows());
        batch.column_by_name(field.name()).map_or_else(missing, Arc::clone)
    };
    Ok(RecordBatch::try_new(columns.clone(), columns.fields().iter().map(column).collect())?)
}

/// Where the rows stand (batch, row), by event time and then by decision.
fn in_order(batches: &[RecordBatch]) -> Vec<(usize, usize)> {
    let mut rows = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        // they have the columns of vectors
        let (Ok(times), Ok(ids)) = (longs(batch, "event_time_ms"), texts(batch, "decision_id")) else {
            continue;
        };
        rows.extend((0..batch.num_rows()).map(|row| (times.value(row), ids.value(row), (number, row))));
    }
    rows.sort_unstable();
    // a payment that was scored again much later has one decision and two vectors: the first was archived first
    let mut seen = BTreeSet::new();
    rows.retain(|(_, decision, _)| seen.insert(*decision));
    rows.into_iter().map(|(_, _, place)| place).collect()
}

/// Some rows with their labels, and how many have one.
fn joined(
    batches: &[RecordBatch],
    rows: &[(usize, usize)],
    known: &Labels,
    columns: &SchemaRef,
) -> Result<(RecordBatch, u64), ParquetError> {
    let batch = interleave_record_batch(&batches.iter().collect::<Vec<_>>(), rows)?;
    let ids = texts(&batch, "decision_id")?;
    let labels: Vec<Option<&(String, i64)>> = ids.iter().map(|id| known.get(id?)).collect();
    let outcomes: StringArray = labels.iter().map(|label| label.map(|(outcome, _)| outcome)).collect();
    let known_at: Int64Array = labels.iter().map(|label| label.map(|(_, known_at)| *known_at)).collect();
    let (of_vector, of_features) = batch.columns().split_at(vector_fields().len());
    let of_label: [ArrayRef; 2] = [Arc::new(outcomes), Arc::new(known_at)];
    let all = of_vector.iter().chain(&of_label).chain(of_features).cloned().collect();
    let with_label = labels.iter().flatten().count() as u64;
    Ok((RecordBatch::try_new(columns.clone(), all)?, with_label))
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ParquetError> {
    batch.column_by_name(name).ok_or_else(|| no_column(name))
}

fn no_column(name: &str) -> ParquetError {
    ParquetError::General(format!("it has no column {name} of the right kind"))
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray, ParquetError> {
    column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| no_column(name))
}

fn longs<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b Int64Array, ParquetError> {
    column(batch, name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| no_column(name))
}

#[cfg(test)]
mod tests;
