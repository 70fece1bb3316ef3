import { useConnectionStatus } from '@tallywire/client/react';
import { useState, type ReactNode } from 'react';
import { ChaosMenu } from './connection/ChaosMenu';
import { ConnectionBadge } from './connection/ConnectionBadge';
import { DeliveryBar } from './connection/DeliveryBar';
import { SignIn } from './connection/SignIn';
import { refused } from './connection/state';
import { JobList } from './jobs/JobList';
import { useJobs } from './jobs/useJobs';
import { Workspace } from './matches/Workspace';
import { NotificationBell } from './notifications/NotificationBell';
import { Toasts } from './notifications/Toasts';
import { Me } from './people/Me';
import { SystemStatus } from './system/SystemStatus';

export function App(): ReactNode {
  const error = useConnectionStatus({ select: (s) => s.lastError });
  const { jobs, known, refused: noList } = useJobs();
  const [chosen, setChosen] = useState<string | null>(null);
  const job = jobs.find((j) => j === chosen) ?? jobs[0] ?? null;

  return (
    <div className="app">
      <a className="skip" href="#main">
        Skip to the matches
      </a>
      <header className="top">
        <div className="brand">
          <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
            <rect width="32" height="32" rx="8" />
            <path d="M8 8v16M13 8v16M18 8v16M5 21 24 10" />
          </svg>
          <h1>
            Tallywire <span>workbench</span>
          </h1>
        </div>
        <ConnectionBadge />
        <SystemStatus />
        <div className="tools">
          <ChaosMenu />
          <NotificationBell jobs={jobs} choose={setChosen} />
          <Me />
        </div>
      </header>
      {refused(error) ? (
        <SignIn reason={error?.message ?? ''} />
      ) : (
        // Who has begun to work on a job is not taken away from it by the next one.
        <div className="page" onPointerDownCapture={() => setChosen(job)} onKeyDownCapture={() => setChosen(job)}>
          <JobList jobs={jobs} known={known} refused={noList} chosen={job} choose={setChosen} />
          <Workspace key={job} job={job} waiting={!known && noList === null} />
        </div>
      )}
      <DeliveryBar />
      <Toasts jobs={jobs} choose={setChosen} />
    </div>
  );
}
