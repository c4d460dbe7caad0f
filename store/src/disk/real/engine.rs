//! RocksDB as every database of this disk wants it, and what they share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Env, LogLevel, Options as DbOptions,
    WriteBufferManager,
};

use super::Options;

pub(super) struct Engine {
    options: Options,
    env: Env,
    cache: Cache,
    buffers: WriteBufferManager,
    /// Those that were opened; some may be closed since.
    databases: Mutex<Vec<Weak<DB>>>,
}

impl Engine {
    pub(super) fn new(options: Options) -> Result<Self, rocksdb::Error> {
        let mut env = Env::new()?;
        env.set_high_priority_background_threads(options.flush_threads);
        env.set_low_priority_background_threads(options.compaction_threads);
        let cache = Cache::new_lru_cache(options.cache_bytes);
        // Without stalls: the budget starts flushes, and a writer never waits for another database.
        let buffers =
            WriteBufferManager::new_write_buffer_manager(options.write_buffer_bytes, false);
        Ok(Engine { options, env, cache, buffers, databases: Mutex::default() })
    }

    pub(super) fn opened(&self, db: &Arc<DB>) {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        databases.retain(|db| db.strong_count() > 0);
        databases.push(Arc::downgrade(db));
    }

    /// Those that are open.
    pub(super) fn databases(&self) -> Vec<Arc<DB>> {
        let databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        databases.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn database(&self) -> DbOptions {
        let mut db = self.family();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        db.set_env(&self.env);
        db.set_write_buffer_manager(&self.buffers);
        // No WAL, so this is what makes a crash keep a prefix of the batches over all families.
        db.set_atomic_flush(true);
        db.set_max_background_jobs(self.options.flush_threads + self.options.compaction_threads);
        db.set_max_open_files(self.options.open_files);
        db.set_max_file_opening_threads(1);
        db.set_bytes_per_sync(1 << 20);
        db.set_max_manifest_file_size(1 << 20);
        // A shard has its own database: its housekeeping must cost next to nothing.
        db.set_log_level(LogLevel::Error);
        db.set_keep_log_file_num(1);
        db.set_max_log_file_size(1 << 20);
        db.set_stats_dump_period_sec(0);
        db.set_stats_persist_period_sec(0);
        db
    }

    /// The same for every family: atomic flush wants it so.
    pub(super) fn family(&self) -> DbOptions {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(16 << 10);
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_bloom_filter(10.0, false);
        table.set_optimize_filters_for_memory(true);

        let mut family = DbOptions::default();
        family.set_block_based_table_factory(&table);
        family.set_write_buffer_size(self.options.memtable_bytes);
        family.set_max_write_buffer_number(3);
        // Many families are nearly empty; each takes its memory in pieces of this size.
        family.set_arena_block_size(64 << 10);
        family.set_compression_type(DBCompressionType::Lz4);
        family.set_bottommost_compression_type(DBCompressionType::Zstd);
        family.set_target_file_size_base(16 << 20);
        family
    }
}
