/** Event types and their data. Generated from events/types. */
export interface EventMap {
  'job.progress': { job_id: string; percent?: number };
}
