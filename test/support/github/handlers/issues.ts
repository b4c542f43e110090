import { simpleUser } from '../bodies.ts';
import { list, parameter, type RepositoryContext, type RepositoryHandler, signedIn } from '../context.ts';
import { created, notFound, ok } from '../reply.ts';
import { type Issue, type IssueComment, newId, timestamp } from '../world.ts';

function body({ world, repository }: RepositoryContext, issue: Issue) {
  const url = `${world.api}/repos/${repository.fullName}/issues/${issue.number}`;
  return {
    id: issue.id,
    node_id: String(issue.id),
    url,
    repository_url: `${world.api}/repos/${repository.fullName}`,
    labels_url: `${url}/labels{/name}`,
    comments_url: `${url}/comments`,
    events_url: `${url}/events`,
    html_url: `${world.origin}/${repository.fullName}/issues/${issue.number}`,
    number: issue.number,
    state: issue.state,
    title: issue.title,
    body: issue.body,
    user: simpleUser(world, issue.user),
    labels: issue.labels.map((name) => ({
      id: issue.id,
      node_id: name,
      name,
      color: 'ededed',
      default: false,
    })),
    assignee: null,
    assignees: [],
    milestone: null,
    locked: false,
    comments: issue.comments.length,
    closed_at: issue.state === 'closed' ? issue.updatedAt : null,
    created_at: issue.createdAt,
    updated_at: issue.updatedAt,
    author_association: 'OWNER',
  };
}

function issueOf(context: RepositoryContext): Issue {
  const number = Number(parameter(context, 'issue_number'));
  const issue = context.repository.issues.find((candidate) => candidate.number === number);
  if (!issue) throw notFound();
  return issue;
}

function commentBody({ world, repository }: RepositoryContext, issue: Issue, comment: IssueComment) {
  const api = `${world.api}/repos/${repository.fullName}/issues`;
  return {
    id: comment.id,
    node_id: String(comment.id),
    url: `${api}/comments/${comment.id}`,
    html_url: `${world.origin}/${repository.fullName}/issues/${issue.number}#issuecomment-${comment.id}`,
    issue_url: `${api}/${issue.number}`,
    body: comment.body,
    user: simpleUser(world, comment.user),
    author_association: 'OWNER',
    created_at: comment.createdAt,
    updated_at: comment.updatedAt,
  };
}

type Label = string | { name?: string };
const labelName = (label: Label) => (typeof label === 'string' ? label : String(label.name));

export const issueHandlers: Record<string, RepositoryHandler> = {
  'issues/list-for-repo': (context) => {
    const state = context.query.get('state') ?? 'open';
    const labels = context.query.get('labels')?.split(',') ?? [];
    const matching = context.repository.issues
      .filter((issue) => state === 'all' || issue.state === state)
      .filter((issue) => labels.every((label) => issue.labels.includes(label)));
    return list(context, matching.reverse(), (issue) => body(context, issue));
  },

  'issues/get': (context) => ok(body(context, issueOf(context))),

  'issues/create': (context) => {
    const { repository } = context;
    const given = context.body as { title: string | number; body?: string; labels?: Label[] };
    const now = timestamp();
    const issue: Issue = {
      id: newId(),
      number: repository.issues.length + 1,
      title: String(given.title),
      body: given.body ?? null,
      state: 'open',
      labels: (given.labels ?? []).map(labelName),
      user: signedIn(context).login,
      comments: [],
      createdAt: now,
      updatedAt: now,
    };
    repository.issues.push(issue);
    return created(body(context, issue));
  },

  'issues/update': (context) => {
    const issue = issueOf(context);
    const given = context.body as {
      title?: string | number;
      body?: string | null;
      state?: Issue['state'];
      labels?: Label[];
    };
    if (given.title !== undefined) issue.title = String(given.title);
    if (given.body !== undefined) issue.body = given.body;
    if (given.state !== undefined) issue.state = given.state;
    if (given.labels !== undefined) issue.labels = given.labels.map(labelName);
    issue.updatedAt = timestamp();
    return ok(body(context, issue));
  },

  'issues/list-comments': (context) => {
    const issue = issueOf(context);
    return list(context, issue.comments, (comment) => commentBody(context, issue, comment));
  },

  'issues/create-comment': (context) => {
    const issue = issueOf(context);
    const { body: text } = context.body as { body: string };
    const now = timestamp();
    const comment = {
      id: newId(),
      body: text,
      user: signedIn(context).login,
      createdAt: now,
      updatedAt: now,
    };
    issue.comments.push(comment);
    return created(commentBody(context, issue, comment));
  },

  'issues/update-comment': (context) => {
    const id = Number(parameter(context, 'comment_id'));
    for (const issue of context.repository.issues) {
      const comment = issue.comments.find((candidate) => candidate.id === id);
      if (!comment) continue;
      comment.body = (context.body as { body: string }).body;
      comment.updatedAt = timestamp();
      return ok(commentBody(context, issue, comment));
    }
    throw notFound();
  },
};
